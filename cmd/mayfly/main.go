// Command mayfly checks contracts, brings them into force, shows what became of them and runs the local stack.
package main

import "os"

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

//go:build !linux

package lambda

import "syscall"

// processAttributes puts a function's process in a group of its own, so that Ctrl-C in a terminal reaches the local
// stack only. Systems other than Linux cannot tie its life to the local stack's.
func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

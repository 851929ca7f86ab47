package lambda

import "syscall"

// processAttributes puts a function's process in a group of its own, so that Ctrl-C in a terminal reaches the local
// stack only, and ties its life to the local stack's, so that a killed local stack leaves none behind.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

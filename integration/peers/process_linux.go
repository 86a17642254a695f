package peers

import "syscall"

// ownGroup makes a child lead a process group, and end when the process that started it dies unasked.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

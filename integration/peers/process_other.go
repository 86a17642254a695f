//go:build !linux

package peers

import "syscall"

// ownGroup makes a child lead a process group.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

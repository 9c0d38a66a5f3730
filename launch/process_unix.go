//go:build unix && !linux

package launch

import (
	"os"
	"syscall"
)

// attributes gives a child a process group of its own. That it ends with us is
// only assured by [Cluster.Stop] and [Cluster.KillAll] here.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

// code is the exit code as a shell tells it.
func code(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

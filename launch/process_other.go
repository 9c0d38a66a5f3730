//go:build !unix

package launch

import (
	"os"
	"syscall"
)

// attributes has nothing to add here: a child ends with us only by
// [Cluster.Stop] and [Cluster.KillAll].
func attributes() *syscall.SysProcAttr { return nil }

func code(state *os.ProcessState) int { return state.ExitCode() }

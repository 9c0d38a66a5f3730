//go:build unix

package cli

import (
	"runtime"
	"syscall"
)

// residentBytes is the most memory that this process has held, 0 if unknown.
func residentBytes() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return int64(usage.Maxrss)
	}
	return int64(usage.Maxrss) << 10
}

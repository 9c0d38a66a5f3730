//go:build unix

package cli

import (
	"syscall"
	"time"
)

// cpuSeconds is the processor time of this process so far, 0 if unknown.
func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

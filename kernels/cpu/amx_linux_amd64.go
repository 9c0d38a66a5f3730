package cpu

import "golang.org/x/sys/unix"

// From Linux's asm/prctl.h and asm/fpu/types.h: the request for a state component
// that the kernel gives to a process only if asked, and the number of the
// component that holds the tile registers.
const (
	requestComponent = 0x1023
	tileData         = 18
)

// allowAMX asks the kernel to let this process use the tile registers.
func allowAMX() bool {
	_, _, errno := unix.RawSyscall(unix.SYS_ARCH_PRCTL, requestComponent, tileData, 0)
	return errno == 0
}

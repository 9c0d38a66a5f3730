package cpu

import (
	"fmt"
	"os"
	"strings"
)

// availableMemory is the kernel's estimate of what can be allocated without
// swapping, in bytes.
func availableMemory() (bytes int, known bool) {
	info, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, false
	}
	_, line, found := strings.Cut(string(info), "MemAvailable:")
	if !found {
		return 0, false
	}
	var kib int
	if _, err := fmt.Sscan(line, &kib); err != nil {
		return 0, false
	}
	return kib << 10, true
}

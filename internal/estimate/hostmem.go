package estimate

import (
	"fmt"
	"os"
	"strings"
)

// HostMemory is how many bytes of this host's memory can be had without swapping,
// where the system says so: Linux does.
func HostMemory() (bytes int64, known bool) {
	info, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, false
	}
	return availableIn(string(info))
}

func availableIn(info string) (bytes int64, known bool) {
	_, line, found := strings.Cut(info, "MemAvailable:")
	var kib int64
	if _, err := fmt.Sscan(line, &kib); !found || err != nil || kib < 0 {
		return 0, false
	}
	return kib << 10, true
}

//go:build !linux

package cpu

// availableMemory is not asked for on this system: the allocation is tried.
func availableMemory() (bytes int, known bool) { return 0, false }

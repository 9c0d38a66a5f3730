//go:build !linux

package cpu

// processor is unknown on this system.
func processor() string { return "" }

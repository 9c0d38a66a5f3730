//go:build amd64 && !linux

package cpu

// allowAMX: how other systems give the tile registers to a process is unknown here.
func allowAMX() bool { return false }

//go:build !amd64

package cpu

// vectorSets are the assembly versions: none for this architecture yet.
func vectorSets() []*kernelSet { return nil }

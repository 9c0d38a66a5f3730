//go:build !amd64

package adder

// vectorLoops are the assembly versions: none for this architecture yet.
func vectorLoops() []*loops { return nil }

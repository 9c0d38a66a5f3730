package cpu

import "fmt"

const (
	// maxBytes is the largest buffer: beyond it Go cannot address a slice.
	maxBytes = 1 << 46
	// smallAllocation is what is allocated without asking what is free.
	smallAllocation = 64 << 20
)

// checkMemory says whether bytes can be had without the system killing the
// process for it.
func checkMemory(bytes int) error {
	if bytes < smallAllocation {
		return nil
	}
	free, known := availableMemory()
	if known && bytes > free {
		return fmt.Errorf("device cpu: asked for %d MiB of memory, %d MiB are free: use a smaller model, batch or number of nodes on this host",
			bytes>>20, free>>20)
	}
	return nil
}

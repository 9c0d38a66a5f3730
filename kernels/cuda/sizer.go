//go:build cuda

package cuda

import (
	"gorgonia.org/cu"
	"parallax/kernels"
)

var _ kernels.Sizer = (*Backend)(nil)

// contextBytes is what the driver takes for a process, with the libraries' kernels:
// seen on an H200, see docs/benchmarks.md.
const contextBytes = 700 << 20

// Memory asks the driver.
func (b *Backend) Memory() (free, total int64, err error) {
	err = b.queue.call(func() error {
		free, total, err = cu.MemInfo()
		return err
	})
	return free, total, err
}

// Overhead is the context, cuBLASLt's workspace, the logits that exist at a time with
// their gradients, and the partial sums of a norm's backward pass.
func (b *Backend) Overhead(positions, width, vocabulary int) int64 {
	logits := int64(chunkRows(positions, vocabulary)) * int64(vocabulary)
	partials := int64(gradBlocks(positions)) * int64(width)
	return contextBytes + blasWorkspace + sizeClass(4*logits) + sizeClass(2*logits) + sizeClass(4*partials)
}

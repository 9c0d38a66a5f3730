//go:build cuda

package cuda

import (
	"math/rand/v2"
	"time"

	"parallax/kernels"
)

const (
	peakProduct  = 8192      // rows and columns of square matrices
	peakElements = 512 << 20 // bytes of float32 copied are 8 times as many
	peakRepeats  = 10
)

// Peak measures large bf16 products, and copies within the GPU's memory. Each is
// the best of some short runs.
func (b *Backend) Peak() (p kernels.Peak, err error) {
	if p.FLOPS, err = b.peakFLOPS(); err != nil {
		return p, err
	}
	if p.Bandwidth, err = b.peakBandwidth(); err != nil {
		return p, err
	}
	return p, b.pool.release() // gigabytes that nobody will ask for in such pieces
}

func (b *Backend) peakFLOPS() (float64, error) {
	var m [3]kernels.Matrix
	for i := range m {
		buf, err := b.Alloc(kernels.BF16, peakProduct*peakProduct)
		if err != nil {
			return 0, err
		}
		defer buf.Free()
		if err := b.CopyIn(buf, noise(buf.Len())).Wait(); err != nil {
			return 0, err
		}
		m[i] = kernels.Mat(buf, peakProduct, peakProduct)
	}
	op := kernels.MatMul{C: m[0], A: m[1], B: m[2], Alpha: 1}
	return b.bestRate(float64(op.FLOPs()), func() { b.MatMul(op) })
}

// noise is n random bfloat16 numbers of magnitude 1 to 2: products of zeros take
// less power, and so run at a higher clock than any real ones.
func noise(n int) []byte {
	r := rand.New(rand.NewPCG(1, 1))
	numbers := make([]uint16, n)
	for i := range numbers {
		numbers[i] = 0x3f80 | uint16(r.Uint32())&0x807f
	}
	return kernels.Bytes(numbers)
}

func (b *Backend) peakBandwidth() (float64, error) {
	var v [2]kernels.Buffer
	for i := range v {
		buf, err := b.Alloc(kernels.F32, peakElements)
		if err != nil {
			return 0, err
		}
		defer buf.Free()
		v[i] = buf
	}
	return b.bestRate(2*4*peakElements, func() { b.Copy(v[0], v[1]) })
}

// bestRate is the most work that was done in a second.
func (b *Backend) bestRate(work float64, op func()) (float64, error) {
	best := 0.0
	for range 4 { // the first compiles, or chooses an algorithm
		if err := b.Sync(); err != nil {
			return 0, err
		}
		began := time.Now()
		for range peakRepeats {
			op()
		}
		if err := b.Sync(); err != nil {
			return 0, err
		}
		best = max(best, peakRepeats*work/time.Since(began).Seconds())
	}
	return best, nil
}

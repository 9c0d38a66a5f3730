package ref

import (
	"math"

	"parallax/kernels"
)

// Quantize rounds in float64, which holds every quotient exactly.
func (b *Backend) Quantize(op kernels.Quantize) {
	kernels.Must(op.Check())
	g, sum, peak := b.vec(op.G), b.ints(op.Sum), b.ints(op.Peak)
	b.enqueue(func() error {
		for i, x := range g.x {
			n := quantize(x, op.FixedPoint)
			if op.Accumulate {
				n += sum[i]
			}
			sum[i] = n
			peak[0] = max(peak[0], int32(math.Float32bits(float32(math.Abs(x)))))
			g.set(i, 0)
		}
		return nil
	})
}

func quantize(x float64, f kernels.FixedPoint) int32 {
	n := math.RoundToEven(x / f.Unit())
	switch limit := float64(f.Limit()); {
	case n < -limit:
		return -f.Limit()
	case n <= limit:
		return int32(n)
	}
	return f.Limit() // NaN too
}

// Dequantize is g = sum unit.
func (b *Backend) Dequantize(op kernels.Dequantize) {
	kernels.Must(op.Check())
	g, sum := b.vec(op.G), b.ints(op.Sum)
	b.enqueue(func() error {
		for i, n := range sum {
			g.set(i, float64(n)*op.Unit())
		}
		return nil
	})
}

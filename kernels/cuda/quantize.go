//go:build cuda

package cuda

import "parallax/kernels"

// Quantize writes a gradient as integers, or adds it to such, and clears it.
func (b *Backend) Quantize(op kernels.Quantize) {
	kernels.Must(op.Check())
	sum, g := b.typed("quantize Sum", op.Sum, kernels.I32), b.typed("quantize G", op.G, kernels.F32)
	peak := b.typed("quantize Peak", op.Peak, kernels.I32)
	if g.n == 0 {
		return
	}
	b.queue.do("quantize", func() error {
		return b.launch(program{"quantize", flag("ACCUMULATE", op.Accumulate)}, b.each(g.n),
			ptr(sum), ptr(g), ptr(peak), num(g.n), real(1/op.Unit()), real(float64(op.Limit())))
	})
}

// Dequantize turns a sum of integers back into a gradient.
func (b *Backend) Dequantize(op kernels.Dequantize) {
	kernels.Must(op.Check())
	g, sum := b.typed("dequantize G", op.G, kernels.F32), b.typed("dequantize Sum", op.Sum, kernels.I32)
	if g.n == 0 {
		return
	}
	b.queue.do("dequantize", func() error {
		return b.launch(program{name: "dequantize"}, b.each(g.n), ptr(g), ptr(sum), num(g.n), real(op.Unit()))
	})
}

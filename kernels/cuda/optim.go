//go:build cuda

package cuda

import "parallax/kernels"

// SumSquares adds up squares in two passes, whose order depends on x's length.
func (b *Backend) SumSquares(dst, x kernels.Buffer, accumulate bool) {
	to, from := b.typed("sum of squares", dst, kernels.F32), b.own("sum of squares", x)
	n := max(1, min(1024, (from.n+4095)/4096))
	partial, free, ok := b.scratch("sum of squares", kernels.F32, n)
	if !ok {
		return
	}
	defer free()
	add := 0
	if accumulate {
		add = 1
	}
	b.queue.do("sum of squares", func() error {
		if err := b.launch(program{"sum_squares", "SRC=" + typeName(from.dtype)}, blocks(n, 256), ptr(partial), ptr(from), num(from.n)); err != nil {
			return err
		}
		return b.launch(program{name: "sum_partials"}, blocks(1, 256), ptr(to), ptr(partial), num(n), num(add))
	})
}

// ClipScale computes the factor that clips a gradient.
func (b *Backend) ClipScale(dst, sumSquares kernels.Buffer, maxNorm float64) {
	to, sum := b.typed("clip scale", dst, kernels.F32), b.typed("clip scale", sumSquares, kernels.F32)
	b.queue.do("clip scale", func() error {
		return b.launch(program{name: "clip_scale"}, blocks(1, 1), ptr(to), ptr(sum), real(maxNorm))
	})
}

// AdamW is one optimizer step.
func (b *Backend) AdamW(op kernels.AdamW) {
	kernels.Must(op.Check())
	p, g := b.typed("adamw P", op.P, kernels.F32), b.typed("adamw G", op.G, kernels.F32)
	m, v := b.typed("adamw M", op.M, kernels.F32), b.typed("adamw V", op.V, kernels.F32)
	work, scale := b.typed("adamw Work", op.Work, kernels.BF16), b.typed("adamw GradScale", op.GradScale, kernels.F32)
	if p.n == 0 {
		return
	}
	c1, c2 := op.BiasCorrections()
	b.queue.do("adamw", func() error {
		return b.launch(program{"adamw", flag("SCALE", scale != nil) + " " + flag("WORK", work != nil)}, b.each(p.n),
			ptr(p), ptr(g), ptr(m), ptr(v), ptr(work), ptr(scale), num(p.n),
			real(op.LR), real(op.Beta1), real(op.Beta2), real(op.Eps), real(1-op.LR*op.WeightDecay), real(c1), real(c2))
	})
}

// Momentum is Muon's accumulation.
func (b *Backend) Momentum(op kernels.Momentum) {
	kernels.Must(op.Check())
	u, m := b.typed("momentum U", op.U, kernels.F32), b.typed("momentum M", op.M, kernels.F32)
	g, scale := b.typed("momentum G", op.G, kernels.F32), b.typed("momentum GradScale", op.GradScale, kernels.F32)
	if m.n == 0 {
		return
	}
	b.queue.do("momentum", func() error {
		return b.launch(program{"momentum", flag("SCALE", scale != nil) + " " + flag("NESTEROV", op.Nesterov)}, b.each(m.n),
			ptr(u), ptr(m), ptr(g), ptr(scale), num(m.n), real(op.Mu))
	})
}

// Normalize divides by a norm.
func (b *Backend) Normalize(op kernels.Normalize) {
	kernels.Must(op.Check())
	y, x := b.typed("normalize Y", op.Y, kernels.BF16), b.typed("normalize X", op.X, kernels.F32)
	sum := b.typed("normalize SumSquares", op.SumSquares, kernels.F32)
	if x.n == 0 {
		return
	}
	b.queue.do("normalize", func() error {
		return b.launch(program{name: "normalize"}, b.each(x.n), ptr(y), ptr(x), ptr(sum), num(x.n), real(op.Factor), real(op.Eps))
	})
}

// Update is the last line of a Muon step.
func (b *Backend) Update(op kernels.Update) {
	kernels.Must(op.Check())
	p, work, u := b.typed("update P", op.P, kernels.F32), b.typed("update Work", op.Work, kernels.BF16), b.own("update U", op.U)
	if p.n == 0 {
		return
	}
	b.queue.do("update", func() error {
		return b.launch(program{"update", flag("WORK", work != nil) + " SRC=" + typeName(u.dtype)}, b.each(p.n),
			ptr(p), ptr(work), ptr(u), num(p.n), real(op.Decay), real(op.Rate))
	})
}

//go:build cuda

package cuda

import (
	"fmt"

	"parallax/kernels"
)

// gradBlocks is how many blocks share the rows of a norm's backward pass; each
// leaves a share of the gain's gradient. It depends on the number of rows alone, so
// that the order of summation does too.
func gradBlocks(rows int) int { return min(rows, 1024) }

// RMSNorm normalises rows.
func (b *Backend) RMSNorm(op kernels.RMSNorm) {
	kernels.Must(op.Check())
	y, x := b.mat("rmsnorm Y", op.Y, kernels.BF16), b.mat("rmsnorm X", op.X, kernels.BF16)
	gain, rstd := b.typed("rmsnorm Gain", op.Gain, kernels.BF16), b.typed("rmsnorm RStd", op.RStd, kernels.F32)
	if x.rows == 0 {
		return
	}
	vec := run(x.cols, y, x, matrix{buf: gain})
	b.queue.do("rmsnorm", func() error {
		return b.launch(program{"rmsnorm_forward", fmt.Sprintf("VEC=%d", vec)}, blocks(x.rows, rowThreads(x.cols/vec)),
			ptr(y.buf), ptr(x.buf), ptr(gain), ptr(rstd), num(x.cols), num(y.stride), num(x.stride), real(op.Eps))
	})
}

// rowThreads is how many threads work on one row of n accesses.
func rowThreads(n int) int { return min(256, (n+31)/32*32) }

// RMSNormBackward computes the gradients of the rows and of the gain.
func (b *Backend) RMSNormBackward(op kernels.RMSNormBackward) {
	kernels.Must(op.Check())
	dx, dy, x := b.mat("rmsnorm DX", op.DX, kernels.BF16), b.mat("rmsnorm DY", op.DY, kernels.BF16), b.mat("rmsnorm X", op.X, kernels.BF16)
	add, gain := b.mat("rmsnorm Add", op.Add, kernels.BF16), b.typed("rmsnorm Gain", op.Gain, kernels.BF16)
	rstd, dgain := b.typed("rmsnorm RStd", op.RStd, kernels.F32), b.typed("rmsnorm DGain", op.DGain, kernels.F32)
	if x.rows == 0 {
		return
	}
	n := gradBlocks(x.rows)
	partial, free, ok := b.scratch("rmsnorm backward", kernels.F32, n*x.cols)
	if !ok {
		return
	}
	defer free()
	vec := run(x.cols, dx, dy, x, add, matrix{buf: gain})
	fits := x.cols*4 <= sharedDefault/2
	g := blocks(n, rowThreads(x.cols/vec))
	if fits {
		g.shared = x.cols * 4
	}
	p := program{"rmsnorm_backward", fmt.Sprintf("VEC=%d %s %s", vec, flag("ADD", add.buf != nil), flag("SHARED", fits))}
	b.queue.do("rmsnorm backward", func() error {
		err := b.launch(p, g, ptr(dx.buf), ptr(dy.buf), ptr(x.buf), ptr(add.buf), ptr(gain), ptr(rstd), ptr(partial),
			num(x.rows), num(x.cols), num(dx.stride), num(dy.stride), num(x.stride), num(add.stride))
		if err != nil {
			return err
		}
		return b.reduceRows(dgain, partial, n, x.cols)
	})
}

// reduceRows adds rows of partial sums to dst.
func (b *Backend) reduceRows(dst, partial *buffer, rows, cols int) error {
	return b.launch(program{name: "reduce_rows"}, blocks((cols+31)/32, 1024), ptr(dst), ptr(partial), num(rows), num(cols))
}

// scratch is device memory that one operation uses: free it when the operation has
// been enqueued. It reports a failure to the queue.
func (b *Backend) scratch(op string, dt kernels.DType, n int) (s *buffer, free func(), ok bool) {
	s, err := b.alloc(dt, n)
	if err != nil {
		b.queue.fail(fmt.Errorf("%s: %w", op, err))
		return nil, nil, false
	}
	return s, s.Free, true
}

// rotary is the program for a head size. It takes four elements an access where a
// power of two of lanes then has a whole vector.
func rotary(name string, dim int, norm bool, ms ...matrix) program {
	vec, lanes := 1, 32
	if n := dim / 8; dim%8 == 0 && n <= 32 && n&(n-1) == 0 && run(dim, ms...) == 8 {
		vec, lanes = 4, n
	}
	return program{name, fmt.Sprintf("DIM=%d VEC=%d LANES=%d %s", dim, vec, lanes, flag("NORM", norm))}
}

// HeadRotary normalises and rotates each head's vector.
func (b *Backend) HeadRotary(op kernels.HeadRotary) {
	kernels.Must(op.Check())
	y, x := b.mat("head rotary Y", op.Y, kernels.BF16), b.mat("head rotary X", op.X, kernels.BF16)
	gain, rstd := b.typed("head rotary Gain", op.Gain, kernels.BF16), b.typed("head rotary RStd", op.RStd, kernels.F32)
	table := b.typed("head rotary Table", op.Table, kernels.F32)
	if x.rows == 0 {
		return
	}
	p := rotary("rotary_forward", op.HeadDim, gain != nil, y, x)
	b.queue.do("head rotary", func() error {
		return b.launch(p, blocks((x.rows+7)/8, 256), ptr(y.buf), ptr(x.buf), ptr(table), ptr(gain), ptr(rstd),
			num(x.rows), num(op.Heads), num(op.SeqLen), num(y.stride), num(x.stride), real(op.Eps))
	})
}

// HeadRotaryBackward is its gradient.
func (b *Backend) HeadRotaryBackward(op kernels.HeadRotaryBackward) {
	kernels.Must(op.Check())
	dx, dy := b.mat("head rotary DX", op.DX, kernels.BF16), b.mat("head rotary DY", op.DY, kernels.BF16)
	gain, table := b.typed("head rotary Gain", op.Gain, kernels.BF16), b.typed("head rotary Table", op.Table, kernels.F32)
	if dy.rows == 0 {
		return
	}
	n := gradBlocks((dy.rows + 7) / 8)
	args := func(x matrix, rstd, partial *buffer) []uint64 {
		return []uint64{ptr(dx.buf), ptr(dy.buf), ptr(x.buf), ptr(table), ptr(gain), ptr(rstd), ptr(partial),
			num(dy.rows), num(op.Heads), num(op.SeqLen), num(dx.stride), num(dy.stride), num(x.stride)}
	}
	if gain == nil {
		p := rotary("rotary_backward", op.HeadDim, false, dx, dy)
		b.queue.do("head rotary backward", func() error {
			return b.launch(p, blocks(n, 256), args(matrix{}, nil, nil)...)
		})
		return
	}
	x, rstd := b.mat("head rotary X", op.X, kernels.BF16), b.typed("head rotary RStd", op.RStd, kernels.F32)
	dgain := b.typed("head rotary DGain", op.DGain, kernels.F32)
	p := rotary("rotary_backward", op.HeadDim, true, dx, dy, x)
	partial, free, ok := b.scratch("head rotary backward", kernels.F32, n*op.HeadDim)
	if !ok {
		return
	}
	defer free()
	b.queue.do("head rotary backward", func() error {
		if err := b.launch(p, blocks(n, 256), args(x, rstd, partial)...); err != nil {
			return err
		}
		return b.reduceRows(dgain, partial, n, op.HeadDim)
	})
}

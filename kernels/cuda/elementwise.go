//go:build cuda

package cuda

import (
	"fmt"

	"parallax/kernels"
)

// Zero sets every element to 0.
func (b *Backend) Zero(dst kernels.Buffer) {
	s := b.own("zero", dst)
	if s.n == 0 {
		return
	}
	b.queue.do("zero", func() error {
		return b.issue(fill{dst: s.ptr, n: int64(s.bytes())})
	})
}

// Copy copies and converts.
func (b *Backend) Copy(dst, src kernels.Buffer) {
	to, from := b.own("copy", dst), b.own("copy", src)
	if to.n != from.n {
		panic(fmt.Sprintf("kernels: copy of %d elements to %d", from.n, to.n))
	}
	if to.n == 0 {
		return
	}
	b.queue.do("copy", func() error {
		if to.dtype == from.dtype {
			return b.issue(move{dst: to.ptr, src: from.ptr, bytes: int64(to.bytes())})
		}
		p := program{"convert", "DST=" + typeName(to.dtype) + " SRC=" + typeName(from.dtype)}
		return b.launch(p, b.each(to.n), ptr(to), ptr(from), num(to.n))
	})
}

// SwiGLU computes y = silu(gate) up.
func (b *Backend) SwiGLU(op kernels.SwiGLU) {
	kernels.Must(op.Check())
	y, gate, up := b.mat("swiglu Y", op.Y, kernels.BF16), b.mat("swiglu Gate", op.Gate, kernels.BF16), b.mat("swiglu Up", op.Up, kernels.BF16)
	if y.rows*y.cols == 0 {
		return
	}
	vec := run(y.cols, y, gate, up)
	b.queue.do("swiglu", func() error {
		return b.launch(program{"swiglu_forward", fmt.Sprintf("VEC=%d", vec)}, b.each(y.rows*y.cols/vec),
			ptr(y.buf), ptr(gate.buf), ptr(up.buf), num(y.rows), num(y.cols), num(y.stride), num(gate.stride), num(up.stride))
	})
}

// SwiGLUBackward computes the gradients of gate and up.
func (b *Backend) SwiGLUBackward(op kernels.SwiGLUBackward) {
	kernels.Must(op.Check())
	dgate, dup := b.mat("swiglu DGate", op.DGate, kernels.BF16), b.mat("swiglu DUp", op.DUp, kernels.BF16)
	dy, gate, up := b.mat("swiglu DY", op.DY, kernels.BF16), b.mat("swiglu Gate", op.Gate, kernels.BF16), b.mat("swiglu Up", op.Up, kernels.BF16)
	if dy.rows*dy.cols == 0 {
		return
	}
	vec := run(dy.cols, dgate, dup, dy, gate, up)
	b.queue.do("swiglu backward", func() error {
		return b.launch(program{"swiglu_backward", fmt.Sprintf("VEC=%d", vec)}, b.each(dy.rows*dy.cols/vec),
			ptr(dgate.buf), ptr(dup.buf), ptr(dy.buf), ptr(gate.buf), ptr(up.buf), num(dy.rows), num(dy.cols),
			num(dgate.stride), num(dup.stride), num(dy.stride), num(gate.stride), num(up.stride))
	})
}

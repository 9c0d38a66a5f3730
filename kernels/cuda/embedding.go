//go:build cuda

package cuda

import (
	"fmt"

	"parallax/kernels"
)

// Embedding gathers rows.
func (b *Backend) Embedding(op kernels.Embedding) {
	kernels.Must(op.Check())
	y, w := b.mat("embedding Y", op.Y, kernels.BF16), b.mat("embedding W", op.W, kernels.BF16)
	tokens := b.typed("embedding Tokens", op.Tokens, kernels.I32)
	if y.rows == 0 || y.cols == 0 {
		return
	}
	vec := run(y.cols, y, w)
	b.queue.do("embedding", func() error {
		return b.launch(program{"embedding_forward", fmt.Sprintf("VEC=%d", vec)}, blocks(y.rows, rowThreads(y.cols/vec)),
			ptr(y.buf), ptr(w.buf), ptr(tokens), num(y.cols), num(y.stride), num(w.stride))
	})
}

// EmbeddingBackward adds each row's gradient to its token's row.
func (b *Backend) EmbeddingBackward(op kernels.EmbeddingBackward) {
	kernels.Must(op.Check())
	dw, dy := b.mat("embedding DW", op.DW, kernels.F32), b.mat("embedding DY", op.DY, kernels.BF16)
	tokens := b.typed("embedding Tokens", op.Tokens, kernels.I32)
	n := dy.rows
	if n == 0 || dy.cols == 0 {
		return
	}
	chain, free, ok := b.scratch("embedding backward", kernels.I32, 2*n)
	if !ok {
		return
	}
	defer free()
	next, head := chain.Slice(0, n).(*buffer), chain.Slice(n, 2*n).(*buffer)
	b.queue.do("embedding backward", func() error {
		if err := b.issue(fill{dst: head.ptr, value: 1, n: int64(n), words: true}); err != nil {
			return err
		}
		if err := b.launch(program{name: "embedding_chain"}, blocks((n+7)/8, 256), ptr(next), ptr(head), ptr(tokens), num(n)); err != nil {
			return err
		}
		g := grid{x: n, y: (dy.cols + 127) / 128, z: 1, threads: 128}
		return b.launch(program{name: "embedding_backward"}, g, ptr(dw.buf), ptr(dy.buf), ptr(tokens), ptr(next), ptr(head),
			num(dy.cols), num(dw.stride), num(dy.stride))
	})
}

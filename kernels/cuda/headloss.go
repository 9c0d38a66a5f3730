//go:build cuda

package cuda

import (
	"fmt"

	"parallax/kernels"
)

// logitsAtOnce is how many logits exist at a time: 1 GiB in float32, and half as
// much for their gradient.
const logitsAtOnce = 1 << 28

// chunkRows is how many rows' logits are computed at once: whole tiles of a matrix
// product.
func chunkRows(n, vocabulary int) int {
	return min(n, max(128, logitsAtOnce/max(vocabulary, 1)/128*128))
}

// HeadLoss is the output head with the cross-entropy, a chunk of rows at a time.
func (b *Backend) HeadLoss(op kernels.HeadLoss) {
	kernels.Must(op.Check())
	n, d, vocabulary := op.X.Rows, op.X.Cols, op.W.Rows
	if n == 0 {
		return
	}
	rows := chunkRows(n, vocabulary)
	logits, freeLogits, ok := b.scratch("head loss", kernels.F32, rows*vocabulary)
	if !ok {
		return
	}
	defer freeLogits()
	var grad *buffer
	if !op.DX.Empty() {
		var free func()
		if grad, free, ok = b.scratch("head loss", kernels.BF16, rows*vocabulary); !ok {
			return
		}
		defer free()
	}
	loss, targets := b.typed("head loss Loss", op.Loss, kernels.F32), b.typed("head loss Targets", op.Targets, kernels.I32)
	for lo := 0; lo < n; lo += rows {
		hi := min(lo+rows, n)
		x := kernels.Matrix{Buf: op.X.Buf.Slice(lo*op.X.Stride, op.X.Buf.Len()), Rows: hi - lo, Cols: d, Stride: op.X.Stride}
		z := kernels.Mat(logits, hi-lo, vocabulary)
		b.MatMul(kernels.MatMul{C: z, A: x, B: op.W, TransB: true, Alpha: 1})
		b.crossEntropy(loss.Slice(lo, hi).(*buffer), grad, logits, targets.Slice(lo, hi).(*buffer), vocabulary)
		if grad == nil {
			continue
		}
		dz := kernels.Mat(grad, hi-lo, vocabulary)
		dx := kernels.Matrix{Buf: op.DX.Buf.Slice(lo*op.DX.Stride, op.DX.Buf.Len()), Rows: hi - lo, Cols: d, Stride: op.DX.Stride}
		b.MatMul(kernels.MatMul{C: dx, A: dz, B: op.W, Alpha: op.Scale})
		b.MatMul(kernels.MatMul{C: op.DW, A: dz, B: x, TransA: true, Alpha: op.Scale, Beta: 1, Add: op.DW})
	}
}

// crossEntropy turns logits into losses and, where grad is given, into gradients.
func (b *Backend) crossEntropy(loss, grad, logits, targets *buffer, vocabulary int) {
	wide := 1
	if vocabulary%4 == 0 { // scratch memory is aligned, and so is every row then
		wide = 4
	}
	b.queue.do("head loss", func() error {
		return b.launch(program{"cross_entropy", fmt.Sprintf("WIDE=%d %s", wide, flag("GRAD", grad != nil))}, blocks(loss.n, 512),
			ptr(loss), ptr(grad), ptr(logits), ptr(targets), num(vocabulary))
	})
}

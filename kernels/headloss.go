package kernels

import "fmt"

// HeadLoss is the output head fused with the cross-entropy: with logits
// z_n = X_n W^T,
//
//	Loss_n = log sum_c exp(z_nc) - z_n,target(n)           [nats]
//	DX_n   = Scale * sum_c (softmax(z_n)_c - [c = target(n)]) W_c
//	DW_c  += Scale * sum_n (softmax(z_n)_c - [c = target(n)]) X_n
//
// A target below 0 is ignored: its loss and gradients are 0. The logits of only
// a chunk of rows exist at a time. Leave DX and DW out to evaluate.
type HeadLoss struct {
	X       Matrix // [n, d]
	W       Matrix // [vocabulary, d], Compute type
	Targets Buffer // [n], I32
	Loss    Buffer // [n], Master type, written
	Scale   float64
	DX      Matrix // [n, d], written, or left out
	DW      Matrix // [vocabulary, d], Master type, accumulated, or left out
}

// Check says what is wrong with the shapes.
func (op HeadLoss) Check() error {
	n, d := op.X.Rows, op.X.Cols
	err := firstError(op.X.check("X"), op.W.checkShape("W", op.W.Rows, d),
		checkLen("Targets", op.Targets, n), checkLen("Loss", op.Loss, n))
	if err == nil && op.DX.Empty() != op.DW.Empty() {
		err = fmt.Errorf("DX and DW go together")
	}
	if err == nil && !op.DX.Empty() {
		err = firstError(op.DX.checkShape("DX", n, d), op.DW.checkShape("DW", op.W.Rows, d))
	}
	if err != nil {
		return fmt.Errorf("head loss: %w", err)
	}
	return nil
}

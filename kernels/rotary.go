package kernels

import "fmt"

// HeadRotary normalises each head's vector when a gain is given ("qk_norm":
// RMSNorm over the D elements of one head, one gain shared by all heads), then
// rotates it by its position (RoPE, Su et al. 2021, arXiv 2104.09864, in the
// half-split form): with D = 2h, position t and angles a_i = t * theta^(-i/h),
//
//	y_i     = x_i cos a_i - x_{i+h} sin a_i
//	y_{i+h} = x_{i+h} cos a_i + x_i sin a_i        0 <= i < h
//
// Row n of X is position n mod SeqLen. Y may be X when Gain is nil.
type HeadRotary struct {
	Y, X           Matrix // [rows, Heads*HeadDim]
	Heads, HeadDim int
	SeqLen         int
	Table          Buffer // [SeqLen*HeadDim], Master type: per position h cosines, then h sines
	Gain           Buffer // [HeadDim], Compute type, or nil for no norm
	RStd           Buffer // [rows*Heads], Master type, written: of row n and head h at n*Heads+h; nil without Gain
	Eps            float64
}

// Check says what is wrong with the shapes.
func (op HeadRotary) Check() error {
	err := firstError(op.X.checkShape("X", op.X.Rows, op.Heads*op.HeadDim),
		op.Y.checkShape("Y", op.X.Rows, op.X.Cols),
		checkHeadRotary(op.X.Rows, op.Heads, op.HeadDim, op.SeqLen, op.Table, op.Gain, op.RStd))
	if err != nil {
		return fmt.Errorf("head rotary: %w", err)
	}
	return nil
}

// HeadRotaryBackward is the gradient of [HeadRotary]: the inverse rotation, then
// the norm's backward. DX may be DY. X (the input of the forward pass) is read
// only with a Gain.
type HeadRotaryBackward struct {
	DX, DY, X      Matrix // [rows, Heads*HeadDim]
	Heads, HeadDim int
	SeqLen         int
	Table          Buffer
	Gain, RStd     Buffer
	DGain          Buffer // [HeadDim], Master type, accumulated; nil without Gain
}

// Check says what is wrong with the shapes.
func (op HeadRotaryBackward) Check() error {
	rows, cols := op.DY.Rows, op.Heads*op.HeadDim
	err := firstError(op.DY.checkShape("DY", rows, cols), op.DX.checkShape("DX", rows, cols),
		checkHeadRotary(rows, op.Heads, op.HeadDim, op.SeqLen, op.Table, op.Gain, op.RStd))
	if err == nil && op.Gain != nil {
		err = firstError(op.X.checkShape("X", rows, cols), checkLen("DGain", op.DGain, op.HeadDim))
	}
	if err != nil {
		return fmt.Errorf("head rotary backward: %w", err)
	}
	return nil
}

func checkHeadRotary(rows, heads, dim, seqLen int, table, gain, rstd Buffer) error {
	if heads < 1 || dim < 2 || dim%2 != 0 {
		return fmt.Errorf("%d heads of size %d: RoPE needs an even size", heads, dim)
	}
	if seqLen < 1 || rows%seqLen != 0 {
		return fmt.Errorf("%d rows are not whole sequences of %d", rows, seqLen)
	}
	if err := checkLen("Table", table, seqLen*dim); err != nil {
		return err
	}
	if gain == nil {
		return nil
	}
	return firstError(checkLen("Gain", gain, dim), checkLen("RStd", rstd, rows*heads))
}

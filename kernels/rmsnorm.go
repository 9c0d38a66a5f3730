package kernels

import "fmt"

// RMSNorm is y = x / sqrt(mean(x^2) + Eps) * Gain for each row
// (Zhang and Sennrich 2019, arXiv 1910.07467).
type RMSNorm struct {
	Y, X Matrix // [rows, cols]
	Gain Buffer // [cols], Compute type
	RStd Buffer // [rows], Master type, written: 1/sqrt(mean(x^2)+Eps)
	Eps  float64
}

// Check says what is wrong with the shapes.
func (op RMSNorm) Check() error {
	err := firstError(op.X.check("X"), op.Y.checkShape("Y", op.X.Rows, op.X.Cols),
		checkLen("Gain", op.Gain, op.X.Cols), checkLen("RStd", op.RStd, op.X.Rows))
	if err != nil {
		return fmt.Errorf("rmsnorm: %w", err)
	}
	return nil
}

// RMSNormBackward is, with xhat = x*rstd and h = dy*gain, for each row
//
//	dx = rstd * (h - xhat * mean(h*xhat)) + Add
//	dgain += sum over rows of dy*xhat
//
// Add is the gradient that flows past the norm on the residual path; leave it
// out (the zero Matrix) where there is none. It may be DX itself.
type RMSNormBackward struct {
	DX, DY, X Matrix // [rows, cols]
	Add       Matrix // [rows, cols] or left out
	Gain      Buffer // [cols]
	RStd      Buffer // [rows], from the forward pass
	DGain     Buffer // [cols], Master type, accumulated
}

// Check says what is wrong with the shapes.
func (op RMSNormBackward) Check() error {
	rows, cols := op.X.Rows, op.X.Cols
	err := firstError(op.X.check("X"), op.DX.checkShape("DX", rows, cols), op.DY.checkShape("DY", rows, cols),
		checkLen("Gain", op.Gain, cols), checkLen("RStd", op.RStd, rows), checkLen("DGain", op.DGain, cols))
	if err == nil && !op.Add.Empty() {
		err = op.Add.checkShape("Add", rows, cols)
	}
	if err != nil {
		return fmt.Errorf("rmsnorm backward: %w", err)
	}
	return nil
}

package kernels

import "fmt"

// SwiGLU is y = silu(gate) * up with silu(x) = x / (1 + exp(-x))
// (Shazeer 2020, arXiv 2002.05202).
type SwiGLU struct {
	Y, Gate, Up Matrix // [rows, cols]
}

// Check says what is wrong with the shapes.
func (op SwiGLU) Check() error {
	rows, cols := op.Y.Rows, op.Y.Cols
	err := firstError(op.Y.check("Y"), op.Gate.checkShape("Gate", rows, cols), op.Up.checkShape("Up", rows, cols))
	if err != nil {
		return fmt.Errorf("swiglu: %w", err)
	}
	return nil
}

// SwiGLUBackward is, with s = 1/(1+exp(-gate)),
//
//	dup   = dy * gate*s
//	dgate = dy * up * s * (1 + gate*(1-s))
//
// DGate may be Gate and DUp may be Up.
type SwiGLUBackward struct {
	DGate, DUp, DY, Gate, Up Matrix // [rows, cols]
}

// Check says what is wrong with the shapes.
func (op SwiGLUBackward) Check() error {
	rows, cols := op.DY.Rows, op.DY.Cols
	err := firstError(op.DY.check("DY"), op.Gate.checkShape("Gate", rows, cols), op.Up.checkShape("Up", rows, cols),
		op.DGate.checkShape("DGate", rows, cols), op.DUp.checkShape("DUp", rows, cols))
	if err != nil {
		return fmt.Errorf("swiglu backward: %w", err)
	}
	return nil
}

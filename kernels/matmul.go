package kernels

import "fmt"

// MatMul is C = Alpha * op(A) op(B) + Beta * Add, where op transposes when its
// flag is set. C is M x N, op(A) M x K, op(B) K x N.
//
// Add may be C itself (accumulation) or another M x N matrix of C's type (a
// residual); it is not read when Beta is 0. C must not overlap A or B.
// A and B are of one type; C may be of the Compute or the Master type. M, N and K
// may be 0: a sum of no terms is 0.
type MatMul struct {
	C, A, B        Matrix
	TransA, TransB bool
	Alpha, Beta    float64
	Add            Matrix
	// Symmetric promises that the result is symmetric, so that a backend may
	// compute one triangle and mirror it.
	Symmetric bool
}

// Dims returns M, N and K.
func (op MatMul) Dims() (m, n, k int) {
	m, k = op.A.Rows, op.A.Cols
	if op.TransA {
		m, k = k, m
	}
	n = op.B.Cols
	if op.TransB {
		n = op.B.Rows
	}
	return m, n, k
}

// Check says what is wrong with the shapes.
func (op MatMul) Check() error {
	if err := firstError(op.A.check("A"), op.B.check("B")); err != nil {
		return fmt.Errorf("matmul: %w", err)
	}
	m, n, k := op.Dims()
	kb := op.B.Rows
	if op.TransB {
		kb = op.B.Cols
	}
	if kb != k {
		return fmt.Errorf("matmul: op(A) is %dx%d but op(B) has %d rows", m, k, kb)
	}
	if op.A.Buf.DType() != op.B.Buf.DType() {
		return fmt.Errorf("matmul: A is %v and B %v", op.A.Buf.DType(), op.B.Buf.DType())
	}
	if err := op.C.checkShape("C", m, n); err != nil {
		return fmt.Errorf("matmul: %w", err)
	}
	if op.Beta != 0 {
		if err := op.Add.checkShape("Add", m, n); err != nil {
			return fmt.Errorf("matmul: %w", err)
		}
		if op.Add.Buf.DType() != op.C.Buf.DType() {
			return fmt.Errorf("matmul: Add is %v and C %v", op.Add.Buf.DType(), op.C.Buf.DType())
		}
	}
	if op.Symmetric && m != n {
		return fmt.Errorf("matmul: a symmetric result cannot be %dx%d", m, n)
	}
	return nil
}

// FLOPs is the number of floating-point operations, a multiply and an add
// counted as two, of the full (not symmetric) product.
func (op MatMul) FLOPs() int64 {
	m, n, k := op.Dims()
	return 2 * int64(m) * int64(n) * int64(k)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Must panics when an operation's arguments do not fit together.
func Must(err error) {
	if err != nil {
		panic("kernels: " + err.Error())
	}
}

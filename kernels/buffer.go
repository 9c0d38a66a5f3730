package kernels

import "fmt"

// Buffer is a run of elements in a device's memory. It has no host-visible
// address; move data with [Backend.CopyIn] and [Backend.CopyOut].
type Buffer interface {
	DType() DType
	Len() int // elements
	// Slice is the view of elements [lo, hi). It shares the memory.
	Slice(lo, hi int) Buffer
	// Free returns the memory to the backend, after everything enqueued so far
	// has used it. Freeing a view does nothing.
	Free()
}

// Matrix is a row-major matrix in a Buffer: element (i, j) is at i*Stride + j.
// The columns [0, Cols) of neighbouring rows need not touch, so a slice of
// columns is a Matrix too.
type Matrix struct {
	Buf        Buffer
	Rows, Cols int
	Stride     int
}

// Mat is the dense rows x cols matrix at the start of b.
func Mat(b Buffer, rows, cols int) Matrix {
	return Matrix{Buf: b, Rows: rows, Cols: cols, Stride: cols}
}

// Columns is the view of columns [lo, hi).
func (m Matrix) Columns(lo, hi int) Matrix {
	if lo < 0 || hi < lo || hi > m.Cols {
		panic(fmt.Sprintf("kernels: columns [%d, %d) of a matrix with %d", lo, hi, m.Cols))
	}
	return Matrix{Buf: m.Buf.Slice(lo, m.Buf.Len()), Rows: m.Rows, Cols: hi - lo, Stride: m.Stride}
}

// Empty says whether the matrix was left out (the zero Matrix).
func (m Matrix) Empty() bool { return m.Buf == nil }

// check says whether the matrix fits its buffer.
func (m Matrix) check(name string) error {
	switch {
	case m.Buf == nil:
		return fmt.Errorf("%s is missing", name)
	case m.Rows < 0 || m.Cols < 0 || m.Stride < m.Cols:
		return fmt.Errorf("%s is %dx%d with stride %d", name, m.Rows, m.Cols, m.Stride)
	case m.Rows > 0 && (m.Rows-1)*m.Stride+m.Cols > m.Buf.Len():
		return fmt.Errorf("%s is %dx%d with stride %d, but its buffer has %d elements", name, m.Rows, m.Cols, m.Stride, m.Buf.Len())
	}
	return nil
}

func (m Matrix) checkShape(name string, rows, cols int) error {
	if err := m.check(name); err != nil {
		return err
	}
	if m.Rows != rows || m.Cols != cols {
		return fmt.Errorf("%s is %dx%d, want %dx%d", name, m.Rows, m.Cols, rows, cols)
	}
	return nil
}

func checkLen(name string, b Buffer, n int) error {
	if b == nil {
		return fmt.Errorf("%s is missing", name)
	}
	if b.Len() != n {
		return fmt.Errorf("%s has %d elements, want %d", name, b.Len(), n)
	}
	return nil
}

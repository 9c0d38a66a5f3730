package cpu

import (
	"fmt"

	"parallax/kernels"
)

// buffer is a run of elements in the Go heap.
type buffer struct {
	dtype kernels.DType
	n     int
	raw   []byte
	view  bool
}

func (b *buffer) DType() kernels.DType { return b.dtype }
func (b *buffer) Len() int             { return b.n }

func (b *buffer) Slice(lo, hi int) kernels.Buffer {
	if lo < 0 || hi < lo || hi > b.n {
		panic(fmt.Sprintf("cpu: slice [%d, %d) of a buffer of %d elements", lo, hi, b.n))
	}
	size := b.dtype.Size()
	return &buffer{dtype: b.dtype, n: hi - lo, raw: b.raw[lo*size : hi*size : hi*size], view: true}
}

func (b *buffer) Free() {
	if !b.view {
		b.raw, b.n = nil, 0
	}
}

// own is b as this package's type.
func own(b kernels.Buffer) *buffer {
	mine, ok := b.(*buffer)
	if !ok {
		panic(fmt.Sprintf("cpu: a buffer of another backend (%T)", b))
	}
	return mine
}

// floats is the memory of a float32 buffer; nil for a buffer left out.
func floats(b kernels.Buffer) []float32 {
	if b == nil {
		return nil
	}
	mine := own(b)
	if mine.dtype != kernels.F32 {
		panic(fmt.Sprintf("cpu: operand of type %v where float32 is needed", mine.dtype))
	}
	return kernels.Cast[float32](mine.raw)
}

// ints is the memory of an int32 buffer; nil for a buffer left out.
func ints(b kernels.Buffer) []int32 {
	if b == nil {
		return nil
	}
	mine := own(b)
	if mine.dtype != kernels.I32 {
		panic(fmt.Sprintf("cpu: operand of type %v where int32 is needed", mine.dtype))
	}
	return kernels.Cast[int32](mine.raw)
}

// matrix is a kernels.Matrix with its memory at hand.
type matrix struct {
	data       []float32
	rows, cols int
	stride     int
}

// view is m's memory; the zero matrix for one left out.
func view(m kernels.Matrix) matrix {
	if m.Empty() {
		return matrix{}
	}
	return matrix{data: floats(m.Buf), rows: m.Rows, cols: m.Cols, stride: m.Stride}
}

func (m matrix) empty() bool { return m.data == nil }

// row is the i-th row.
func (m matrix) row(i int) []float32 {
	return m.data[i*m.stride : i*m.stride+m.cols]
}

// head is columns [h*dim, (h+1)*dim) of row i.
func (m matrix) head(i, h, dim int) []float32 {
	at := i*m.stride + h*dim
	return m.data[at : at+dim]
}

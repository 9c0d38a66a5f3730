package model

import (
	"parallax/kernels"
)

// hostMatrix is a device's matrix seen from the host, row by row in float64. As many
// rows as its window has are on the host at a time, in the device's type, in memory
// that the next matrix takes over.
type hostMatrix struct {
	be     kernels.Backend
	m      kernels.Matrix
	window int
	lo, hi int       // the rows at hand
	raw    []byte    // those, from the first to the last element
	line   []float64 // the row asked for
	err    error     // of the device; from then on rows mean nothing
}

// see goes over to the first rows of m, with at most window of them at a time.
func (h *hostMatrix) see(be kernels.Backend, m kernels.Matrix, window int) {
	h.be, h.m, h.window, h.lo, h.hi, h.err = be, m, min(window, m.Rows), 0, 0, nil
	if n := span(m, h.window) * m.Buf.DType().Size(); n > len(h.raw) {
		h.raw = be.HostAlloc(n)
	}
	if m.Cols > cap(h.line) {
		h.line = make([]float64, m.Cols)
	}
	h.line = h.line[:m.Cols]
}

// span is how many elements lie from the first to the last of n rows.
func span(m kernels.Matrix, n int) int { return max(0, (n-1)*m.Stride+m.Cols) }

// row is row i, until the next call.
func (h *hostMatrix) row(i int) []float64 {
	if i < h.lo || i >= h.hi {
		h.fetch(i)
	}
	size := h.m.Buf.DType().Size()
	kernels.Widen(h.line, h.raw[(i-h.lo)*h.m.Stride*size:], h.m.Buf.DType())
	return h.line
}

// fetch brings row i and those behind it.
func (h *hostMatrix) fetch(i int) {
	h.lo, h.hi = i, min(i+h.window, h.m.Rows)
	n, size := span(h.m, h.hi-h.lo), h.m.Buf.DType().Size()
	at := i * h.m.Stride
	if err := h.be.CopyOut(h.raw[:n*size], h.m.Buf.Slice(at, at+n)).Wait(); err != nil && h.err == nil {
		h.err = err
	}
}

// hostVector is a copy of a buffer of floating-point numbers, in memory that the
// next one takes over.
type hostVector struct {
	raw    []byte
	values []float64
}

func (h *hostVector) read(be kernels.Backend, b kernels.Buffer) error {
	if n := b.Len() * b.DType().Size(); n != len(h.raw) {
		h.raw, h.values = be.HostAlloc(n), make([]float64, b.Len())
	}
	err := be.CopyOut(h.raw, b).Wait()
	kernels.Widen(h.values, h.raw, b.DType())
	return err
}

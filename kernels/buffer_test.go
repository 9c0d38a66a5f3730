package kernels

import (
	"fmt"
	"strings"
	"testing"
)

// shape is a Buffer of which only type and length matter.
type shape struct {
	dtype  DType
	lo, hi int
}

func (s shape) DType() DType            { return s.dtype }
func (s shape) Len() int                { return s.hi - s.lo }
func (s shape) Slice(lo, hi int) Buffer { return shape{s.dtype, s.lo + lo, s.lo + hi} }
func (s shape) Free()                   {}

func buf(n int) Buffer             { return shape{F32, 0, n} }
func mat(rows, cols int) Matrix    { return Mat(buf(rows*cols), rows, cols) }
func ints(n int) Buffer            { return shape{I32, 0, n} }
func matOf(dt DType, n int) Matrix { return Mat(shape{dt, 0, n * n}, n, n) }

func wantError(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("error %v, want one that says %q", err, part)
	}
}

func wantPanic(t *testing.T, part string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if msg := fmt.Sprint(recover()); !strings.Contains(msg, part) {
			t.Errorf("panic %q, want one that says %q", msg, part)
		}
	}()
	f()
}

func TestColumns(t *testing.T) {
	m := mat(3, 10).Columns(2, 9).Columns(1, 4) // columns 3, 4, 5
	if want := (shape{F32, 3, 30}); m.Rows != 3 || m.Cols != 3 || m.Stride != 10 || m.Buf != Buffer(want) {
		t.Errorf("columns of columns: %+v, want rows 3, cols 3, stride 10 and the buffer from 3", m)
	}
	if err := m.check("m"); err != nil {
		t.Error(err) // the last row ends before its stride does
	}
	wantPanic(t, "columns [2, 5) of a matrix with 4", func() { mat(1, 4).Columns(2, 5) })
	wantPanic(t, "columns [3, 2)", func() { mat(1, 4).Columns(3, 2) })
	wantPanic(t, "columns [-1, 2)", func() { mat(1, 4).Columns(-1, 2) })
}

func TestMatrixCheck(t *testing.T) {
	good := mat(3, 4)
	short, negative, narrow := good, good, good
	short.Buf = buf(11)
	negative.Rows = -1
	narrow.Stride = 3
	for _, test := range []struct {
		m    Matrix
		want string
	}{
		{Matrix{}, "m is missing"},
		{short, "m is 3x4 with stride 4, but its buffer has 11 elements"},
		{negative, "m is -1x4"},
		{narrow, "m is 3x4 with stride 3"},
	} {
		wantError(t, test.m.check("m"), test.want)
	}
	wantError(t, good.checkShape("m", 4, 3), "m is 3x4, want 4x3")
	if (Matrix{}).Empty() == good.Empty() {
		t.Error("Empty does not tell a matrix from none")
	}
	if err := Mat(buf(0), 0, 4).check("no rows"); err != nil {
		t.Error(err)
	}
}

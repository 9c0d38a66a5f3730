package kerneltest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"

	"parallax/kernels"
)

// dealt is a number of sequences for the lanes of a backend. Sequence i computes, by way of
// its lane's scratch, outs[i] from ins[i].
type dealt struct {
	ins, outs, gram, squares []kernels.Buffer // the first two of each sequence, the others of each lane
	calls, busy              []atomic.Int64   // likewise
	wrong                    atomic.Pointer[error]
}

const (
	dealtRows, dealtCols = 33, 40
	dealtCount           = 19
)

func newDealt(b kernels.Backend) (*dealt, error) {
	lanes := kernels.Lanes(b)
	d := &dealt{calls: make([]atomic.Int64, dealtCount), busy: make([]atomic.Int64, lanes)}
	p := b.Info().Precision
	rng := rand.New(rand.NewPCG(1, 2))
	for _, want := range []struct {
		to      *[]kernels.Buffer
		dt      kernels.DType
		size, n int
	}{
		{&d.ins, p.Compute, dealtRows * dealtCols, dealtCount}, {&d.outs, p.Compute, dealtRows * dealtCols, dealtCount},
		{&d.gram, p.Compute, dealtRows * dealtRows, lanes}, {&d.squares, p.Master, 1, lanes},
	} {
		for range want.n {
			buf, err := b.Alloc(want.dt, want.size)
			if err != nil {
				return nil, err
			}
			values := make([]float64, want.size)
			for i := range values {
				values[i] = normal(1)(rng)
			}
			if err := kernels.WriteFloats(b, buf, values); err != nil {
				return nil, err
			}
			*want.to = append(*want.to, buf)
		}
	}
	return d, nil
}

// sequence normalises a matrix x and multiplies x x^T x.
func (d *dealt) sequence(be kernels.Backend, lane, i int) {
	if lane < 0 || lane >= len(d.busy) || i < 0 || i >= len(d.calls) {
		d.fail("sequence %d of %d in lane %d of %d", i, len(d.calls), lane, len(d.busy))
		return
	}
	if d.busy[lane].Add(1) != 1 {
		d.fail("two sequences at a time in lane %d", lane)
	}
	d.calls[i].Add(1)
	x, y := kernels.Mat(d.ins[i], dealtRows, dealtCols), kernels.Mat(d.outs[i], dealtRows, dealtCols)
	gram := kernels.Mat(d.gram[lane], dealtRows, dealtRows)
	be.SumSquares(d.squares[lane], y.Buf, false)
	be.Normalize(kernels.Normalize{Y: x.Buf, X: x.Buf, SumSquares: d.squares[lane], Factor: 1, Eps: 1e-7})
	be.MatMul(kernels.MatMul{C: gram, A: x, B: x, TransB: true, Alpha: 1, Symmetric: true})
	be.MatMul(kernels.MatMul{C: y, A: gram, B: x, Alpha: 1})
	d.busy[lane].Add(-1)
}

func (d *dealt) fail(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	d.wrong.CompareAndSwap(nil, &err)
}

// checkLanes deals sequences out between operations that write what they read and read what
// they write, and compares with the same sequences one after the other.
func checkLanes(b kernels.Backend) error {
	if b.Info().Precision.Compute != b.Info().Precision.Master {
		return nil // Normalize's operands are of two types: devices of one type have lanes
	}
	together, err1 := newDealt(b)
	single, err2 := newDealt(b)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	around := func(d *dealt, deal func()) {
		for i, out := range d.outs {
			b.Copy(out, d.ins[i])
		}
		deal()
		for i, out := range d.outs {
			b.Copy(d.ins[i], out)
		}
	}
	around(together, func() { kernels.Deal(b, dealtCount, together.sequence) })
	around(single, func() {
		for i := range dealtCount {
			single.sequence(b, 0, i)
		}
	})
	return together.like(b, single)
}

// like wants every sequence to have run once, with the other's results.
func (d *dealt) like(b kernels.Backend, other *dealt) error {
	if wrong := d.wrong.Load(); wrong != nil {
		return *wrong
	}
	for i := range d.calls {
		if n := d.calls[i].Load(); n != 1 {
			return fmt.Errorf("sequence %d of %d was called %d times", i, dealtCount, n)
		}
		got, err1 := kernels.ReadFloats(b, d.ins[i])
		want, err2 := kernels.ReadFloats(b, other.ins[i])
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		for j := range want {
			if got[j] != want[j] {
				return fmt.Errorf("sequence %d, element %d: %v in a lane, %v without", i, j, got[j], want[j])
			}
		}
	}
	return nil
}

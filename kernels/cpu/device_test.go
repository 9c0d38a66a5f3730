package cpu

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"parallax/kernels"
	"parallax/kernels/ref"
)

// device is a backend on which a test lays out the operands of one operation.
// The same calls on two devices give the same operands.
type device struct {
	t *testing.T
	kernels.Backend
	rng     *rand.Rand
	outputs []kernels.Buffer
}

func newDevice(t *testing.T, b kernels.Backend) *device {
	t.Cleanup(func() { b.Close() })
	return &device{t: t, Backend: b, rng: rand.New(rand.NewPCG(1, 2))}
}

// in is a buffer of n standard normal numbers.
func (d *device) in(n int) kernels.Buffer {
	values := make([]float64, n)
	for i := range values {
		values[i] = float64(float32(d.rng.NormFloat64()))
	}
	return d.of(values)
}

// of is a buffer with the given content, in the master type.
func (d *device) of(values []float64) kernels.Buffer {
	b, err := d.Alloc(d.Info().Precision.Master, len(values))
	if err == nil {
		err = kernels.WriteFloats(d, b, values)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return b
}

func (d *device) ints(values []int32) kernels.Buffer {
	b, err := d.Alloc(kernels.I32, len(values))
	if err == nil {
		err = d.CopyIn(b, kernels.Bytes(values)).Wait()
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return b
}

// out is in(n), compared after the operation.
func (d *device) out(n int) kernels.Buffer {
	b := d.in(n)
	d.outputs = append(d.outputs, b)
	return b
}

func (d *device) inMat(rows, cols int) kernels.Matrix {
	return kernels.Mat(d.in(rows*cols), rows, cols)
}
func (d *device) outMat(rows, cols int) kernels.Matrix {
	return kernels.Mat(d.out(rows*cols), rows, cols)
}

func (d *device) results() [][]float64 {
	var all [][]float64
	for _, b := range d.outputs {
		values, err := kernels.ReadFloats(d, b)
		if err != nil {
			d.t.Fatal(err)
		}
		all = append(all, values)
	}
	return all
}

// agree runs an operation on the oracle and on every kernel set, with one and
// with three threads, and compares: within tol of the oracle, in relative root
// mean square, and equal to the bit between numbers of threads.
func agree(t *testing.T, tol float64, op func(d *device)) {
	t.Helper()
	oracle := newDevice(t, ref.New())
	op(oracle)
	want := oracle.results()
	for _, set := range setsWithTwin() {
		var first [][]float64
		for _, threads := range []int{1, 3} {
			d := newDevice(t, openSet(set, threads))
			op(d)
			got := d.results()
			for i := range want {
				if e := relRMS(got[i], want[i]); !(e <= tol) {
					t.Errorf("%s: output %d is off by %.2g, want at most %.2g", set.name, i, e, tol)
				}
			}
			if first == nil {
				first = got
			} else if !slices.EqualFunc(first, got, slices.Equal[[]float64]) {
				t.Errorf("%s: %d threads give other bits than 1", set.name, threads)
			}
		}
	}
}

// relRMS is |got - want| / |want|, in the Euclidean norm; 0/0 is 0.
func relRMS(got, want []float64) float64 {
	var diff, norm float64
	for i := range want {
		diff += (got[i] - want[i]) * (got[i] - want[i])
		norm += want[i] * want[i]
	}
	if diff == 0 {
		return 0
	}
	return math.Sqrt(diff / norm)
}

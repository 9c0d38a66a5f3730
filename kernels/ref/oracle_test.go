package ref

import (
	"math"
	"math/rand/v2"
	"testing"

	"parallax/kernels"
)

// device is an oracle with what the tests need to fill and read it.
type device struct {
	*Backend
	t *testing.T
}

func newDevice(t *testing.T) device { return device{New(), t} }

func (d device) numbers(x ...float64) kernels.Buffer {
	d.t.Helper()
	buf := d.zeros(len(x))
	if err := kernels.WriteFloats(d, buf, x); err != nil {
		d.t.Fatal(err)
	}
	return buf
}

func (d device) zeros(n int) kernels.Buffer { return d.alloc(kernels.F64, n) }

func (d device) ints(x ...int32) kernels.Buffer {
	d.t.Helper()
	buf := d.alloc(kernels.I32, len(x))
	if err := d.CopyIn(buf, kernels.Bytes(x)).Wait(); err != nil {
		d.t.Fatal(err)
	}
	return buf
}

func (d device) alloc(dt kernels.DType, n int) kernels.Buffer {
	d.t.Helper()
	buf, err := d.Alloc(dt, n)
	if err != nil {
		d.t.Fatal(err)
	}
	return buf
}

func (d device) read(buf kernels.Buffer) []float64 {
	d.t.Helper()
	x, err := kernels.ReadFloats(d, buf)
	if err != nil {
		d.t.Fatal(err)
	}
	return x
}

func random(seed uint64, n int) []float64 {
	rng := rand.New(rand.NewPCG(seed, uint64(n)))
	x := make([]float64, n)
	for i := range x {
		x[i] = rng.NormFloat64()
	}
	return x
}

// relative is rms(got-want)/rms(want).
func relative(got, want []float64) float64 {
	var diff, size float64
	for i := range want {
		diff += (got[i] - want[i]) * (got[i] - want[i])
		size += want[i] * want[i]
	}
	return math.Sqrt(diff / size)
}

func wantClose(t *testing.T, what string, got []float64, want ...float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s has %d elements, want %d", what, len(got), len(want))
	}
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= 1e-13*(1+math.Abs(want[i]))) {
			t.Errorf("%s[%d] = %.17g, want %.17g", what, i, got[i], want[i])
		}
	}
}

// gradientCase holds an operation's backward against differences of its forward.
// The loss is the inner product of the forward's output with fixed weights, which
// are what backward gets as the gradient of that output.
type gradientCase struct {
	name    string
	inputs  map[string][]float64
	weights []float64
	output  func(d device, in map[string]kernels.Buffer) kernels.Buffer
	// gradients runs forward and backward and returns the gradient to each input.
	gradients func(d device, in map[string]kernels.Buffer, dy kernels.Buffer) map[string]kernels.Buffer
}

const gradientTolerance = 1e-9

func (c gradientCase) run(t *testing.T) {
	t.Run(c.name, func(t *testing.T) {
		d := newDevice(t)
		grads := c.gradients(d, c.upload(d), d.numbers(c.weights...))
		for name, x := range c.inputs {
			got, want := d.read(grads[name]), c.differences(t, x)
			if e := relative(got, want); !(e < gradientTolerance) {
				t.Errorf("gradient of %s: relative error %.2g against finite differences, want below %.2g", name, e, gradientTolerance)
			}
		}
	})
}

func (c gradientCase) upload(d device) map[string]kernels.Buffer {
	in := map[string]kernels.Buffer{}
	for name, x := range c.inputs {
		in[name] = d.numbers(x...)
	}
	return in
}

// differences is the gradient of the loss to x, one of the inputs, by the central
// difference of fourth order: its error is of order h^4 and rounding/h.
func (c gradientCase) differences(t *testing.T, x []float64) []float64 {
	const h = 1e-3
	grad := make([]float64, len(x))
	for i, x0 := range x {
		at := func(dx float64) float64 {
			x[i] = x0 + dx
			return c.loss(t)
		}
		grad[i] = (8*(at(h)-at(-h)) - (at(2*h) - at(-2*h))) / (12 * h)
		x[i] = x0
	}
	return grad
}

func (c gradientCase) loss(t *testing.T) float64 {
	d := newDevice(t)
	y := d.read(c.output(d, c.upload(d)))
	return dot(y, c.weights)
}

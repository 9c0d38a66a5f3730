package kerneltest

import (
	"fmt"
	"math"
	"math/rand/v2"

	"parallax/kernels"
)

// device is what a program runs on: a backend, the source of the program's
// numbers, and a record of the tensors that it made.
type device struct {
	kernels.Backend
	rounded kernels.Precision // the types of the backend under test
	rng     *rand.Rand
	layouts []layout
	tensors []tensor
	tokens  []kernels.Buffer
}

// tensor is a matrix or vector within its own buffer: element (i, j) is at
// offset + i*stride + j.
type tensor struct {
	name                       string
	root                       kernels.Buffer
	rows, cols, stride, offset int
	values                     []float64 // of the whole buffer, once the program has run
	gradient                   bool      // of attention
}

// layout is where in its buffer a matrix lies: skip elements, then rows of left +
// cols + right, then tail elements. All but the matrix itself is NaN.
type layout struct{ skip, left, right, tail int }

var (
	dense     = layout{}
	unaligned = layout{skip: 1, tail: 3}
	strided   = layout{skip: 2, left: 3, right: 2, tail: 1}
	wide      = layout{left: 16, right: 16}

	mixed = []layout{strided, unaligned, wide, dense}
)

// deviceFailure carries an error of the backend out of a program.
type deviceFailure struct{ error }

// A fill gives the elements of a tensor.
type fill func(rng *rand.Rand) float64

func normal(std float64) fill {
	return func(rng *rand.Rand) float64 { return std * rng.NormFloat64() }
}

// shifted is normal about a mean.
func shifted(mean, std float64) fill {
	return func(rng *rand.Rand) float64 { return mean + std*rng.NormFloat64() }
}

func positive(rng *rand.Rand) float64 { return 0.01 + rng.Float64() }

// unwritten fills outputs: whoever forgets an element is found out.
func unwritten(*rand.Rand) float64 { return math.NaN() }

// compute makes a matrix of the Compute type, and master one of the Master type.
func (d *device) compute(name string, rows, cols int, f fill) kernels.Matrix {
	return d.matrix(name, d.Info().Precision.Compute, d.rounded.Compute, rows, cols, f)
}

func (d *device) master(name string, rows, cols int, f fill) kernels.Matrix {
	return d.matrix(name, d.Info().Precision.Master, d.rounded.Master, rows, cols, f)
}

// computeVec and masterVec make vectors.
func (d *device) computeVec(name string, n int, f fill) kernels.Buffer {
	return d.typedVec(name, d.Info().Precision.Compute, d.rounded.Compute, n, f)
}

func (d *device) masterVec(name string, n int, f fill) kernels.Buffer {
	return d.typedVec(name, d.Info().Precision.Master, d.rounded.Master, n, f)
}

func (d *device) typedVec(name string, dt, rounded kernels.DType, n int, f fill) kernels.Buffer {
	return d.matrix(name, dt, rounded, 1, n, f).Buf.Slice(0, n)
}

// matrix makes a matrix of type dt that holds numbers rounded to another.
func (d *device) matrix(name string, dt, rounded kernels.DType, rows, cols int, f fill) kernels.Matrix {
	lay := d.nextLayout()
	stride := lay.left + cols + lay.right
	t := tensor{name: name, rows: rows, cols: cols, stride: max(stride, 1), offset: lay.skip + lay.left}
	t.values = make([]float64, lay.skip+rows*stride+lay.tail)
	for i := range t.values {
		t.values[i] = math.NaN()
	}
	for row := range rows {
		for i := t.at(row); i < t.at(row)+cols; i++ {
			t.values[i] = roundTo(rounded, f(d.rng))
		}
	}
	t.root = d.alloc(dt, len(t.values))
	if err := kernels.WriteFloats(d, t.root, t.values); err != nil {
		panic(deviceFailure{fmt.Errorf("%s: %w", name, err)})
	}
	d.tensors = append(d.tensors, t)
	return kernels.Mat(t.root.Slice(lay.skip, lay.skip+rows*stride), rows, stride).Columns(lay.left, lay.left+cols)
}

func (d *device) nextLayout() layout {
	if len(d.layouts) == 0 {
		return dense
	}
	return d.layouts[len(d.tensors)%len(d.layouts)]
}

// ints32 makes a vector of n int32 whose elements are compared, between two that no
// operation may change.
func (d *device) ints32(name string, n int, f func(rng *rand.Rand) int32) kernels.Buffer {
	values := make([]int32, n+2)
	for i := range values {
		values[i] = f(d.rng)
	}
	t := tensor{name: name, rows: 1, cols: len(values), stride: len(values), root: d.alloc(kernels.I32, len(values))}
	d.tensors = append(d.tensors, t)
	if err := d.CopyIn(t.root, kernels.Bytes(values)).Wait(); err != nil {
		panic(deviceFailure{fmt.Errorf("%s: %w", name, err)})
	}
	return t.root.Slice(1, n+1)
}

// read copies a tensor's whole buffer to the host; float64 holds every type exactly.
func (d *device) read(t tensor) ([]float64, error) {
	if t.root.DType() != kernels.I32 {
		return kernels.ReadFloats(d, t.root)
	}
	raw := d.HostAlloc(4 * t.root.Len())
	err := d.CopyOut(raw, t.root).Wait()
	values := make([]float64, t.root.Len())
	for i, x := range kernels.Cast[int32](raw) {
		values[i] = float64(x)
	}
	return values, err
}

// ints makes a vector of int32.
func (d *device) ints(x []int32) kernels.Buffer {
	buf := d.alloc(kernels.I32, len(x))
	d.tokens = append(d.tokens, buf)
	if err := d.CopyIn(buf, kernels.Bytes(x)).Wait(); err != nil {
		panic(deviceFailure{err})
	}
	return buf
}

func (d *device) alloc(dt kernels.DType, n int) kernels.Buffer {
	buf, err := d.Alloc(dt, n)
	if err != nil {
		panic(deviceFailure{err})
	}
	return buf
}

func (d *device) free() {
	for _, t := range d.tensors {
		t.root.Free()
	}
	for _, buf := range d.tokens {
		buf.Free()
	}
}

func roundTo(dt kernels.DType, x float64) float64 {
	switch dt {
	case kernels.F32:
		return float64(float32(x))
	case kernels.BF16:
		return float64(kernels.FromBF16(kernels.ToBF16(float32(x))))
	}
	return x
}

package optimizer

import (
	"math"
	"math/rand/v2"
	"testing"

	"parallax/kernels"
	_ "parallax/kernels/cpu"
	"parallax/kernels/ref"
)

func muonConfig() Config {
	return Config{
		Name: "muon", LR: 0.1, Momentum: 0.9, Nesterov: true, Coefficients: "quintic", Scale: "spectral", WeightDecay: 0.2,
		AdamLR: 0.01, Beta1: 0.8, Beta2: 0.9, AdamEps: 1e-8, AdamWeightDecay: 0.3, ClipNorm: 1,
	}
}

// someParams is a small model's: gaps, a tall, a wide and a square matrix, and heads.
func someParams() []Param {
	return []Param{
		{Name: "embed", Offset: 0, Rows: 5, Cols: 6, Kind: Table},
		{Name: "norm0", Offset: 32, Rows: 1, Cols: 6, Kind: Gain},
		{Name: "q", Offset: 48, Rows: 8, Cols: 6, Kind: Hidden, Heads: 4},
		{Name: "k", Offset: 96, Rows: 4, Cols: 6, Kind: Hidden, Heads: 2},
		{Name: "up", Offset: 128, Rows: 9, Cols: 6, Kind: Hidden},
		{Name: "norm1", Offset: 192, Rows: 1, Cols: 6, Kind: Gain},
		{Name: "down", Offset: 208, Rows: 6, Cols: 9, Kind: Hidden},
		{Name: "square", Offset: 272, Rows: 6, Cols: 6, Kind: Hidden},
		{Name: "head", Offset: 320, Rows: 5, Cols: 6, Kind: Table},
	}
}

const someSize = 352

func oracle(t *testing.T) kernels.Backend {
	t.Helper()
	return closing(t, ref.New())
}

func cpu(t *testing.T) kernels.Backend {
	t.Helper()
	be, err := kernels.Open("cpu", kernels.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	return closing(t, be)
}

func closing(t *testing.T, be kernels.Backend) kernels.Backend {
	t.Cleanup(func() {
		if err := be.Close(); err != nil {
			t.Error(err)
		}
	})
	return be
}

// mixed is the oracle with a GPU's types: it rounds whatever it stores to them.
type mixed struct{ kernels.Backend }

func (m mixed) Info() kernels.Info {
	info := m.Backend.Info()
	info.Precision = kernels.Precision{Compute: kernels.BF16, Master: kernels.F32}
	return info
}

func read(t *testing.T, be kernels.Backend, b kernels.Buffer) []float64 {
	t.Helper()
	x, err := kernels.ReadFloats(be, b)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func write(t *testing.T, be kernels.Backend, b kernels.Buffer, x []float64) {
	t.Helper()
	if err := kernels.WriteFloats(be, b, x); err != nil {
		t.Fatal(err)
	}
}

func alloc(t *testing.T, be kernels.Backend, dt kernels.DType, x []float64) kernels.Buffer {
	t.Helper()
	b, err := be.Alloc(dt, len(x))
	if err != nil {
		t.Fatal(err)
	}
	write(t, be, b, x)
	return b
}

func normals(rng *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = rng.NormFloat64()
	}
	return x
}

// flat draws a flat buffer's contents, zero in the gaps.
func flat(params []Param, size int, seed uint64) []float64 {
	x := make([]float64, size)
	rng := rand.New(rand.NewPCG(seed, 1))
	for _, p := range params {
		copy(x[p.Offset:], normals(rng, p.Len()))
	}
	return x
}

// rig is an optimizer with buffers of its own.
type rig struct {
	*Optimizer
	be     kernels.Backend
	target Target
}

func newRig(t *testing.T, be kernels.Backend, c Config) rig {
	t.Helper()
	precision := be.Info().Precision
	start := flat(someParams(), someSize, 100)
	target := Target{
		Params: alloc(t, be, precision.Master, start),
		Grads:  alloc(t, be, precision.Master, make([]float64, someSize)),
	}
	target.Work = target.Params
	if precision.Compute != precision.Master {
		target.Work = alloc(t, be, precision.Compute, start)
	}
	o, err := New(be, c, someParams(), target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.Close)
	return rig{o, be, target}
}

// setGrads gives the rig the gradient of a step.
func (r rig) setGrads(t *testing.T, step int) {
	t.Helper()
	write(t, r.be, r.target.Grads, flat(someParams(), someSize, uint64(step)))
}

// step is a whole step by one rank.
func (r rig) step(t *testing.T, step int, scale float64) {
	t.Helper()
	r.setGrads(t, step)
	r.Begin()
	r.Finish(step, scale)
}

// contents is all that a step may change, in order.
func (r rig) contents(t *testing.T) []float64 {
	t.Helper()
	all := append(read(t, r.be, r.target.Params), read(t, r.be, r.target.Work)...)
	for _, b := range r.StateBuffers() {
		all = append(all, read(t, r.be, b)...)
	}
	return all
}

// relativeError is |x-y| / |y|, of vectors.
func relativeError(x, y []float64) float64 {
	var diff, norm float64
	for i := range x {
		diff += (x[i] - y[i]) * (x[i] - y[i])
		norm += y[i] * y[i]
	}
	return math.Sqrt(diff / norm)
}

// dense is a host matrix.
type dense struct {
	rows, cols int
	x          []float64
}

func (a dense) at(i, j int) float64 { return a.x[i*a.cols+j] }

func (a dense) transposed() dense {
	b := dense{a.cols, a.rows, make([]float64, len(a.x))}
	for i := range b.rows {
		for j := range b.cols {
			b.x[i*b.cols+j] = a.at(j, i)
		}
	}
	return b
}

func (a dense) times(b dense) dense {
	c := dense{a.rows, b.cols, make([]float64, a.rows*b.cols)}
	for i := range c.rows {
		for j := range c.cols {
			for k := range a.cols {
				c.x[i*c.cols+j] += a.at(i, k) * b.at(k, j)
			}
		}
	}
	return c
}

// plus is alpha*a + beta*b.
func (a dense) plus(alpha, beta float64, b dense) dense {
	c := dense{a.rows, a.cols, make([]float64, len(a.x))}
	for i := range c.x {
		c.x[i] = alpha*a.x[i] + beta*b.x[i]
	}
	return c
}

// orthonormal draws a matrix with orthonormal columns, by Gram and Schmidt, twice.
func orthonormal(rng *rand.Rand, rows, cols int) dense {
	q := dense{cols, rows, normals(rng, rows*cols)} // by columns
	for j := range cols {
		v := q.x[j*rows : (j+1)*rows]
		for range 2 {
			for i := range j {
				u := q.x[i*rows : (i+1)*rows]
				d := dot(u, v)
				for k := range v {
					v[k] -= d * u[k]
				}
			}
		}
		n := math.Sqrt(dot(v, v))
		for k := range v {
			v[k] /= n
		}
	}
	return q.transposed()
}

func dot(x, y []float64) float64 {
	s := 0.0
	for i := range x {
		s += x[i] * y[i]
	}
	return s
}

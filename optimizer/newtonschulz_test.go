package optimizer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"parallax/kernels"
)

var shapes = [][2]int{{6, 6}, {4, 9}, {9, 4}, {1, 5}, {5, 1}, {33, 17}}

// orthogonalized runs the device's Newton-Schulz on one matrix.
func orthogonalized(t *testing.T, be kernels.Backend, set string, u dense) []float64 {
	t.Helper()
	precision := be.Info().Precision
	side := min(u.rows, u.cols)
	ns := newtonSchulz{
		set:     coefficientSets[set],
		x:       alloc(t, be, precision.Compute, make([]float64, len(u.x))),
		gram:    alloc(t, be, precision.Compute, make([]float64, side*side)),
		poly:    alloc(t, be, precision.Compute, make([]float64, side*side)),
		squares: alloc(t, be, precision.Master, []float64{0}),
	}
	dst := alloc(t, be, precision.Compute, make([]float64, len(u.x)))
	it := ns.prepare(dst, alloc(t, be, precision.Master, u.x), u.rows, u.cols)
	ns.orthogonalize(be, &it)
	return read(t, be, dst)
}

// plainNewtonSchulz is the iteration as published: transpose when tall.
func plainNewtonSchulz(set string, x dense) dense {
	if x.rows > x.cols {
		return plainNewtonSchulz(set, x.transposed()).transposed()
	}
	s := coefficientSets[set]
	x = x.plus(1/(s.factor*math.Sqrt(dot(x.x, x.x))+1e-7), 0, x)
	for _, k := range s.steps {
		a := x.times(x.transposed())
		b := a.plus(k.b, k.c, a.times(a))
		x = x.plus(k.a, 1, b.times(x))
	}
	return x
}

// The bound for bfloat16 is wide: where the polynomials are steep, a singular value
// lands elsewhere within the band around 1.
func TestNewtonSchulzAgreesWithThePublishedForm(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for set := range coefficientSets {
		for _, shape := range shapes {
			u := dense{shape[0], shape[1], normals(rng, shape[0]*shape[1])}
			want := plainNewtonSchulz(set, u)
			for _, b := range []struct {
				be    kernels.Backend
				bound float64
			}{{oracle(t), 1e-12}, {cpu(t), 1e-4}, {mixed{oracle(t)}, 0.3}} {
				if e := relativeError(orthogonalized(t, b.be, set, u), want.x); !(e < b.bound) {
					t.Errorf("%s, %v, %v: differs by %g", set, shape, b.be.Info().Precision.Compute, e)
				}
			}
		}
	}
}

// TestNewtonSchulzKeepsSingularVectors builds matrices from known singular
// values: the vectors must stay, and the values become those of the scalar
// iteration, near 1.
func TestNewtonSchulzKeepsSingularVectors(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for set, band := range map[string][2]float64{"quintic": {0.65, 1.25}, "polar-express": {0.85, 1.15}} {
		for _, shape := range shapes {
			n := min(shape[0], shape[1])
			left, right := orthonormal(rng, shape[0], n), orthonormal(rng, shape[1], n).transposed()
			before := make([]float64, n)
			for i := range before {
				before[i] = math.Pow(0.02, float64(i)/float64(n)) // from 1 down to above 0.02
			}
			after := scalarNewtonSchulz(coefficientSets[set], before)
			for _, s := range after {
				if s < band[0] || s > band[1] {
					t.Errorf("%s: a singular value ends at %g, not in %v", set, s, band)
				}
			}
			got := orthogonalized(t, oracle(t), set, left.times(diagonal(before)).times(right))
			want := left.times(diagonal(after)).times(right)
			if e := relativeError(got, want.x); !(e < 1e-6) { // Normalize's epsilon
				t.Errorf("%s, %v: differs by %g", set, shape, e)
			}
		}
	}
}

func scalarNewtonSchulz(set coefficientSet, values []float64) []float64 {
	norm := set.factor * math.Sqrt(dot(values, values))
	out := make([]float64, len(values))
	for i, s := range values {
		s /= norm
		for _, k := range set.steps {
			s = s * (k.a + s*s*(k.b+k.c*s*s))
		}
		out[i] = s
	}
	return out
}

func diagonal(values []float64) dense {
	d := dense{len(values), len(values), make([]float64, len(values)*len(values))}
	for i, v := range values {
		d.x[i*d.cols+i] = v
	}
	return d
}

func TestNewtonSchulzOfNothingIsNothing(t *testing.T) {
	for set := range coefficientSets {
		for _, x := range orthogonalized(t, oracle(t), set, dense{3, 4, make([]float64, 12)}) {
			if x != 0 {
				t.Fatalf("%s: a zero matrix became %g", set, x)
			}
		}
	}
}

// counter counts matrix products and what they cost.
type counter struct {
	kernels.Backend
	products int
	flops    int64
}

func (c *counter) MatMul(op kernels.MatMul) {
	c.products++
	c.flops += op.FLOPs()
	c.Backend.MatMul(op)
}

func TestCostIsThreeProductsAStep(t *testing.T) {
	for _, shape := range shapes {
		be := &counter{Backend: oracle(t)}
		u := dense{shape[0], shape[1], make([]float64, shape[0]*shape[1])}
		orthogonalized(t, be, "quintic", u)
		cost := muonConfig().cost(Param{Rows: shape[0], Cols: shape[1], Kind: Hidden})
		if be.products != 15 || be.flops != 5*cost {
			t.Errorf("%v: %d products of %d operations, planned with 15 of %d", shape, be.products, be.flops, 5*cost)
		}
	}
}

func ExampleConfig_Check() {
	c := muonConfig()
	c.Coefficients = "cubic"
	fmt.Println(c.Check())
	// Output: optimizer.coefficients: "cubic" is unknown: use quintic or polar-express
}

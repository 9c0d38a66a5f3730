package model

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"parallax/kernels"
)

// rankBySweeps is a projection's stable rank by Jacobi's method.
func rankBySweeps(t *testing.T, m *Model, layer int, name string) float64 {
	t.Helper()
	p, has := m.layout.Find(layerName(layer, "self_attn."+name+"_proj"))
	if !has {
		return math.NaN()
	}
	w := readMatrix(t, m.be, m.layout.View(m.params, p))
	return w.squares() / largestByJacobi(w)
}

// largestByJacobi is the largest eigenvalue of W^T W by cyclic Jacobi rotations of
// W's columns (Hestenes): once all are orthogonal it is their largest square.
func largestByJacobi(w plainMatrix) float64 {
	columns := make([][]float64, len(w[0]))
	for c := range columns {
		for _, row := range w {
			columns[c] = append(columns[c], row[c])
		}
	}
	for range 30 { // sweeps: it converges quadratically
		for i := range columns {
			for j := range i {
				rotate(columns[i], columns[j])
			}
		}
	}
	largest := 0.0
	for _, c := range columns {
		largest = max(largest, dot(c, c))
	}
	return largest
}

func rotate(x, y []float64) {
	a, b, c := dot(x, x), dot(y, y), dot(x, y)
	if c == 0 {
		return
	}
	zeta := (b - a) / (2 * c)
	tangent := math.Copysign(1, zeta) / (math.Abs(zeta) + math.Sqrt(1+zeta*zeta))
	cosine := 1 / math.Sqrt(1+tangent*tangent)
	sine := cosine * tangent
	for i := range x {
		x[i], y[i] = cosine*x[i]-sine*y[i], sine*x[i]+cosine*y[i]
	}
}

// squares is |W|_F^2.
func (w plainMatrix) squares() float64 {
	sum := 0.0
	for _, row := range w {
		sum += dot(row, row)
	}
	return sum
}

// on is the matrix on the oracle, in float64.
func (w plainMatrix) on(t *testing.T, be kernels.Backend) kernels.Matrix {
	t.Helper()
	buf, err := be.Alloc(kernels.F64, len(w)*len(w[0]))
	if err == nil {
		err = kernels.WriteFloats(be, buf, slices.Concat(w...))
	}
	if err != nil {
		t.Fatal(err)
	}
	return kernels.Mat(buf, len(w), len(w[0]))
}

func randomMatrix(rows, cols int, scale func(col int) float64) plainMatrix {
	rng := rand.New(rand.NewPCG(9, uint64(rows)))
	w := make(plainMatrix, rows)
	for r := range w {
		for c := range cols {
			w[r] = append(w[r], scale(c)*rng.NormFloat64())
		}
	}
	return w
}

// TestStableRank measures all matrices with one and the same memory.
func TestStableRank(t *testing.T) {
	even := func(int) float64 { return 1 }
	be := open(t, "ref")
	var l lanczos
	for name, c := range map[string]struct {
		w         plainMatrix
		tolerance float64
	}{
		"crowded":   {randomMatrix(120, 120, even), 2e-3},
		"wide":      {randomMatrix(24, 96, even), 1e-6},
		"tall":      {randomMatrix(96, 24, even), 1e-9},
		"falling":   {randomMatrix(60, 60, func(c int) float64 { return math.Pow(0.7, float64(c)) }), 1e-9},
		"one row":   {randomMatrix(1, 30, even), 1e-12},
		"one entry": {randomMatrix(1, 1, even), 1e-12},
	} {
		t.Run(name, func(t *testing.T) {
			l.w.see(be, c.w.on(t, be), len(c.w))
			got, want := l.stableRank(), c.w.squares()/largestByJacobi(c.w)
			if l.w.err != nil || !(math.Abs(got/want-1) <= c.tolerance) {
				t.Errorf("got %.12g, %v, want %.12g", got, l.w.err, want)
			}
		})
	}
	zeros := plainMatrix{make([]float64, 4), make([]float64, 4)}
	l.w.see(be, zeros.on(t, be), len(zeros))
	if rank := l.stableRank(); !math.IsNaN(rank) {
		t.Errorf("a matrix of zeros has stable rank %v", rank)
	}
}

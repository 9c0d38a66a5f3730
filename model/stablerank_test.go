package model

import (
	"math"
	"math/rand/v2"
	"testing"
)

// rankBySweeps is a projection's stable rank by Jacobi's method.
func rankBySweeps(t *testing.T, m *Model, layer int, name string) float64 {
	t.Helper()
	p, has := m.layout.Find(layerName(layer, "self_attn."+name+"_proj"))
	if !has {
		return math.NaN()
	}
	w, err := readHost(m.be, m.layout.View(m.params, p))
	if err != nil {
		t.Fatal(err)
	}
	squares := 0.0
	for _, x := range w.values {
		squares += x * x
	}
	return squares / largestByJacobi(w)
}

// largestByJacobi is the largest eigenvalue of W^T W by cyclic Jacobi rotations of
// W's columns (Hestenes): once all are orthogonal it is their largest square.
func largestByJacobi(w hostMatrix) float64 {
	columns := make([][]float64, w.cols)
	for c := range columns {
		for r := range w.rows {
			columns[c] = append(columns[c], w.row(r)[c])
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

func randomMatrix(rows, cols int, scale func(col int) float64) hostMatrix {
	rng := rand.New(rand.NewPCG(9, uint64(rows)))
	w := hostMatrix{rows: rows, cols: cols, stride: cols}
	for range rows {
		for c := range cols {
			w.values = append(w.values, scale(c)*rng.NormFloat64())
		}
	}
	return w
}

func TestStableRank(t *testing.T) {
	even := func(int) float64 { return 1 }
	for name, c := range map[string]struct {
		w         hostMatrix
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
			squares := dot(c.w.values, c.w.values)
			got, want := stableRank(c.w), squares/largestByJacobi(c.w)
			if !(math.Abs(got/want-1) <= c.tolerance) {
				t.Errorf("got %.12g, want %.12g", got, want)
			}
		})
	}
	if rank := stableRank(hostMatrix{make([]float64, 12), 3, 4, 4}); !math.IsNaN(rank) {
		t.Errorf("a matrix of zeros has stable rank %v", rank)
	}
}

package model

import (
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
)

// measureRanks reads the projections of all layers, on as many host threads as the
// device may use, and measures their stable ranks.
func (m *Model) measureRanks(all []Diagnosis) error {
	var wg sync.WaitGroup
	threads := m.be.Info().Threads
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	room := make(chan struct{}, threads)
	errs := make([]error, len(all))
	for i := range all {
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			d := &all[i]
			errs[i] = errors.Join(
				m.measureRank(&d.RankQ, i, "self_attn.q_proj"),
				m.measureRank(&d.RankR, i, "self_attn.r_proj"),
				m.measureRank(&d.RankK, i, "self_attn.k_proj"))
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// measureRank leaves NaN where a layer has no such matrix.
func (m *Model) measureRank(rank *float64, layer int, name string) error {
	p, has := m.layout.Find(layerName(layer, name))
	if !has {
		*rank = math.NaN()
		return nil
	}
	w, err := readHost(m.be, m.layout.View(m.params, p))
	*rank = stableRank(w)
	return err
}

// stableRank is |W|_F^2 / |W|_2^2; NaN for a matrix of zeros.
func stableRank(w hostMatrix) float64 {
	squares := 0.0
	for i := range w.rows {
		squares += dot(w.row(i), w.row(i))
	}
	return squares / largestEigenvalue(w)
}

// Lanczos' method takes at most lanczosSteps steps, and fewer once one raises the
// estimate by less than lanczosGain of it. The estimate comes from below; for
// matrices of independent normal numbers, whose spectrum is as crowded at its end
// as any, it is a thousandth too small.
const (
	lanczosSteps = 64
	lanczosGain  = 1e-7
)

// largestEigenvalue is that of W^T W, by Lanczos' method with all directions kept
// orthogonal (Golub and Van Loan, Matrix Computations, 4th edition, section 10.1).
// It begins with a fixed direction.
func largestEigenvalue(w hostMatrix) float64 {
	rng := rand.New(rand.NewPCG(1, 2))
	v := make([]float64, w.cols)
	for i := range v {
		v[i] = rng.NormFloat64()
	}
	scaleBy(v, 1/norm(v))
	var basis [][]float64
	var diagonal, beside []float64 // of the tridiagonal matrix
	estimate := 0.0
	for range min(lanczosSteps, w.cols) {
		basis = append(basis, v)
		next := w.gram(v)
		diagonal = append(diagonal, dot(v, next))
		orthogonalize(next, basis)
		before := estimate
		estimate = largestOfTridiagonal(diagonal, beside)
		length := norm(next)
		if estimate-before <= lanczosGain*estimate || length <= lanczosGain*estimate {
			break
		}
		beside = append(beside, length)
		scaleBy(next, 1/length)
		v = next
	}
	return estimate
}

// gram is W^T W v.
func (w hostMatrix) gram(v []float64) []float64 {
	out := make([]float64, w.cols)
	for i := range w.rows {
		row := w.row(i)
		addScaled(out, dot(row, v), row)
	}
	return out
}

// orthogonalize takes out of x what lies along the basis, twice, because once
// leaves rounding errors that grow.
func orthogonalize(x []float64, basis [][]float64) {
	for range 2 {
		for _, b := range basis {
			addScaled(x, -dot(x, b), b)
		}
	}
}

// largestOfTridiagonal is the largest eigenvalue of a symmetric tridiagonal matrix,
// by bisection: x is above it while all pivots of the matrix minus x are negative
// (Golub and Van Loan, section 8.4).
func largestOfTridiagonal(diagonal, beside []float64) float64 {
	low, high := diagonal[0], 0.0
	for i, d := range diagonal {
		reach := 0.0
		if i > 0 {
			reach += math.Abs(beside[i-1])
		}
		if i < len(diagonal)-1 {
			reach += math.Abs(beside[i])
		}
		low, high = max(low, d), max(high, d+reach) // Gershgorin
	}
	above := func(x float64) bool {
		pivot := diagonal[0] - x
		for i := 1; i < len(diagonal) && pivot < 0; i++ {
			pivot = diagonal[i] - x - beside[i-1]*beside[i-1]/pivot
		}
		return pivot < 0
	}
	for range 60 { // halvings: more digits than a float64 has
		if middle := (low + high) / 2; above(middle) {
			high = middle
		} else {
			low = middle
		}
	}
	return (low + high) / 2
}

// dot sums in four strands, which a processor adds at the same time.
func dot(a, b []float64) float64 {
	b = b[:len(a)]
	var s [4]float64
	n := len(a) &^ 3
	for i := 0; i < n; i += 4 {
		s[0] += a[i] * b[i]
		s[1] += a[i+1] * b[i+1]
		s[2] += a[i+2] * b[i+2]
		s[3] += a[i+3] * b[i+3]
	}
	for i := n; i < len(a); i++ {
		s[0] += a[i] * b[i]
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}

func addScaled(y []float64, a float64, x []float64) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] += a * v
	}
}

func scaleBy(x []float64, a float64) {
	for i := range x {
		x[i] *= a
	}
}

func norm(x []float64) float64 { return math.Sqrt(dot(x, x)) }

package model

import (
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"

	"parallax/kernels"
)

// ranksBytes is how much of the projections is on the host at a time, however many
// threads there are, unless one alone is larger.
const ranksBytes = 64 << 20

// ranked are the projections whose stable ranks are measured.
var ranked = [...]struct {
	name string
	rank func(*Diagnosis) *float64
}{
	{"self_attn.q_proj", func(d *Diagnosis) *float64 { return &d.RankQ }},
	{"self_attn.r_proj", func(d *Diagnosis) *float64 { return &d.RankR }},
	{"self_attn.k_proj", func(d *Diagnosis) *float64 { return &d.RankK }},
}

// measureRanks reads the projections of all layers, on as many host threads as the
// device may use and memory allows, and measures their stable ranks.
func (m *Model) measureRanks(all []Diagnosis) error {
	threads := m.be.Info().Threads
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	var next atomic.Int64
	errs := make([]error, min(threads, m.cfg.ranksAtOnce(m.be.Info().Precision.Master)))
	var wg sync.WaitGroup
	for worker := range errs {
		wg.Go(func() {
			var l lanczos
			for i := int(next.Add(1)) - 1; i < len(all) && errs[worker] == nil; i = int(next.Add(1)) - 1 {
				errs[worker] = m.measureLayer(&all[i], i, &l)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// measureLayer leaves NaN where a layer has no such matrix.
func (m *Model) measureLayer(d *Diagnosis, layer int, l *lanczos) error {
	for _, r := range ranked {
		p, has := m.layout.Find(layerName(layer, r.name))
		if !has {
			*r.rank(d) = math.NaN()
			continue
		}
		w := m.layout.View(m.params, p)
		l.w.see(m.be, w, w.Rows)
		*r.rank(d) = l.stableRank()
		if l.w.err != nil {
			return l.w.err
		}
	}
	return nil
}

// ranksAtOnce is how many layers' projections are measured at the same time, at
// most.
func (c Config) ranksAtOnce(master kernels.DType) int {
	return max(1, min(c.Layers, int(ranksBytes/c.rankBytes(master))))
}

// rankBytes is the host memory of one of them: its largest matrix, and Lanczos'
// vectors.
func (c Config) rankBytes(master kernels.DType) int64 {
	width, rows := int64(c.Width), int64(max(c.qCols(), c.kvCols()))
	return rows*width*int64(master.Size()) + 8*width*(lanczosSteps+3)
}

// lanczos is a matrix W whose largest singular value is looked for, and the memory
// that it takes.
type lanczos struct {
	w      hostMatrix
	memory []float64
}

// vector is the i-th of W's columns' length, of unspecified content.
func (l *lanczos) vector(i int) []float64 {
	n := l.w.m.Cols
	if need := (lanczosSteps + 1) * n; need > len(l.memory) {
		l.memory = make([]float64, need)
	}
	return l.memory[i*n : (i+1)*n]
}

// stableRank is |W|_F^2 / |W|_2^2; NaN for a matrix of zeros.
func (l *lanczos) stableRank() float64 {
	squares := 0.0
	for i := range l.w.m.Rows {
		row := l.w.row(i)
		squares += dot(row, row)
	}
	return squares / l.largestEigenvalue()
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
func (l *lanczos) largestEigenvalue() float64 {
	rng := rand.New(rand.NewPCG(1, 2))
	v := l.vector(0)
	for i := range v {
		v[i] = rng.NormFloat64()
	}
	scaleBy(v, 1/norm(v))
	var basis [][]float64
	var diagonal, beside []float64 // of the tridiagonal matrix
	estimate := 0.0
	for range min(lanczosSteps, l.w.m.Cols) {
		basis = append(basis, v)
		next := l.gram(l.vector(len(basis)), v)
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

// gram is out = W^T W v.
func (l *lanczos) gram(out, v []float64) []float64 {
	clear(out)
	for i := range l.w.m.Rows {
		row := l.w.row(i)
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

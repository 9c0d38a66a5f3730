package kerneltest

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"testing"

	"parallax/kernels"
	"parallax/kernels/ref"
)

// Tolerance says how far from the oracle a backend's results may be.
type Tolerance struct {
	// Compute bounds what is computed from, or stored in, the Compute type.
	Compute Limit
	// Gradients bounds the gradients of attention, if it is not zero: then Compute does.
	Gradients Limit
	// Master bounds operations on the Master type alone: the optimizer's.
	Master Limit
}

// Limit bounds the error of one tensor.
type Limit struct {
	RMS float64 // rms(x-oracle) / rms(oracle)
	Max float64 // max|x-oracle| / max|oracle|
}

// What backends are held to by the types of their Precision: Float64 and Float32
// for those whose types are both that, BFloat16 for one that computes in bfloat16
// and keeps float32. Float32 leaves room for gradients that are summed from 16 bits of
// each operand and more, see multiplyLeading of parallax/kernels/cpu.
var (
	BFloat16 = Tolerance{Compute: Limit{RMS: 1e-2, Max: 3e-2}, Master: Limit{RMS: 5e-7, Max: 2e-6}}
	Float32  = Tolerance{Compute: Limit{RMS: 4e-6, Max: 2e-5}, Gradients: Limit{RMS: 8e-6, Max: 4e-5}, Master: Limit{RMS: 5e-7, Max: 2e-6}}
	Float64  = Tolerance{Compute: Limit{RMS: 1e-13, Max: 1e-12}, Master: Limit{RMS: 1e-15, Max: 1e-14}}
)

// Candidate is a backend that is held against the oracle.
type Candidate struct {
	Name string
	Open func(t *testing.T) kernels.Backend
}

// Run holds backends of one precision against the oracle. It opens each for each operation
// and closes it. With -short and under the race detector it runs a sample, see sample.
func Run(t *testing.T, tol Tolerance, candidates ...Candidate) {
	run(t, sample(suite()), tol, candidates)
	for _, c := range queueChecks {
		for _, x := range candidates {
			t.Run("queue/"+c.name+"/"+x.Name, func(t *testing.T) {
				b := x.Open(t)
				if err := c.run(b); err != nil {
					t.Error(err)
				}
				closeBackend(t, b)
			})
		}
	}
}

// run asks the oracle once for all candidates.
func run(t *testing.T, groups []group, tol Tolerance, candidates []Candidate) {
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			opened := make([]kernels.Backend, len(candidates))
			failures := make([][]error, len(candidates))
			for i, x := range candidates {
				opened[i] = x.Open(t)
				defer closeBackend(t, opened[i])
			}
			for _, c := range g.checks {
				want, err := c.execute(ref.New(), opened[0].Info().Precision)
				for i, b := range opened {
					failures[i] = append(failures[i], errors.Join(err, c.against(b, want, tol)))
				}
			}
			for i, x := range candidates {
				t.Run(x.Name, func(t *testing.T) { report(t, failures[i]) })
			}
		})
	}
}

// RunThreads wants the same bits from a backend whatever its number of threads.
func RunThreads(t *testing.T, open func(t *testing.T, threads int) kernels.Backend) {
	runThreads(t, sample(suite()), open)
}

func runThreads(t *testing.T, groups []group, open func(t *testing.T, threads int) kernels.Backend) {
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			one := open(t, 1)
			for _, threads := range []int{2, 3} {
				several := open(t, threads)
				var failures []error
				for _, c := range g.checks {
					failures = append(failures, c.same(one, several, threads))
				}
				report(t, failures)
				closeBackend(t, several)
			}
			closeBackend(t, one)
		})
	}
}

func closeBackend(t *testing.T, b kernels.Backend) {
	if err := b.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// sample is what there is time for.
func sample(groups []group) []group {
	if testing.Short() || raceEnabled {
		return thin(groups)
	}
	return groups
}

// thin leaves out large checks and keeps every seventh of the others: seven is
// odd, and so keeps both of two that alternate.
func thin(groups []group) []group {
	var some []group
	for _, g := range groups {
		var kept []check
		for i, c := range g.checks {
			if i%7 == 0 && !c.large {
				kept = append(kept, c)
			}
		}
		some = append(some, group{g.name, kept})
	}
	return some
}

// report prints the first few failures of an operation's checks, of which some are nil.
func report(t *testing.T, checks []error) {
	t.Helper()
	const shown = 8
	failed := 0
	for _, err := range checks {
		if err == nil {
			continue
		}
		if failed++; failed <= shown {
			t.Error(err)
		}
	}
	if failed > shown {
		t.Errorf("and %d more of %d checks", failed-shown, len(checks))
	}
}

// group is the checks of one operation.
type group struct {
	name   string
	checks []check
}

func suite() []group {
	return []group{
		{"matmul", matmulChecks()},
		{"attention", attentionChecks()},
		{"rmsnorm", rmsnormChecks()},
		{"head rotary", rotaryChecks()},
		{"swiglu", swigluChecks()},
		{"embedding", embeddingChecks()},
		{"head loss", headLossChecks()},
		{"optimizer", optimizerChecks()},
		{"copy", copyChecks()},
		{"quantize", quantizeChecks()},
	}
}

// check is one program and how well its results must agree.
type check struct {
	name    string // operation and shape
	class   class
	slack   float64  // multiplies the tolerance where the problem is ill-conditioned; 0 is 1
	large   bool     // left out where time is short
	layouts []layout // of the program's tensors, in turn; none: all dense
	program func(d *device)
}

// class says which tolerance a check is held to.
type class int

const (
	compute class = iota
	master
	exact
)

func (c check) limit(tol Tolerance, t tensor) Limit {
	limit := tol.Compute
	switch {
	case c.class == master:
		limit = tol.Master
	case c.class == exact:
		limit = Limit{}
	case t.gradient && tol.Gradients != Limit{}:
		limit = tol.Gradients
	}
	slack := max(c.slack, 1)
	return Limit{limit.RMS * slack, limit.Max * slack}
}

// against runs the program twice on a backend, for comparison with the oracle's tensors.
func (c check) against(b kernels.Backend, oracle []tensor, tol Tolerance) error {
	precision := b.Info().Precision
	first, err1 := c.execute(b, precision)
	second, err2 := c.execute(b, precision)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	for i, want := range oracle {
		if err := first[i].equal(second[i]); err != nil {
			return fmt.Errorf("%s: %s differs from one run to the next: %w", c.name, want.name, err)
		}
		if err := first[i].near(want, c.limit(tol, want)); err != nil {
			return fmt.Errorf("%s: %s: %w", c.name, want.name, err)
		}
	}
	return nil
}

// same runs the program on two backends that must agree to the last bit.
func (c check) same(one, several kernels.Backend, threads int) error {
	precision := one.Info().Precision
	want, err1 := c.execute(one, precision)
	got, err2 := c.execute(several, precision)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	for i := range want {
		if err := got[i].equal(want[i]); err != nil {
			return fmt.Errorf("%s: %s differs between %d threads and 1: %w", c.name, want[i].name, threads, err)
		}
	}
	return nil
}

// execute runs the program and reads back every tensor that it made.
func (c check) execute(b kernels.Backend, rounded kernels.Precision) (results []tensor, err error) {
	seed := fnv.New64a()
	seed.Write([]byte(c.name))
	d := &device{Backend: b, rounded: rounded, rng: rand.New(rand.NewPCG(seed.Sum64(), 0)), layouts: c.layouts}
	defer d.free()
	defer func() {
		if failure, ok := recover().(deviceFailure); ok {
			err = failure.error
		}
	}()
	c.program(d)
	for i := range d.tensors {
		d.tensors[i].values, err = d.read(d.tensors[i])
		if err != nil {
			return nil, err
		}
	}
	return d.tensors, nil
}

// equal compares bits; any NaN is like any other.
func (x tensor) equal(y tensor) error {
	for i, a := range x.values {
		b := y.values[i]
		if math.Float64bits(a) != math.Float64bits(b) && !(math.IsNaN(a) && math.IsNaN(b)) {
			row, col := x.place(i)
			return fmt.Errorf("at row %d, column %d: %.17g and %.17g", row, col, a, b)
		}
	}
	return nil
}

package kerneltest

import (
	"testing"

	"parallax/kernels"
	"parallax/kernels/ref"
)

// TestOracleAgainstItself shows that every check is well made: no difference at
// all is tolerated.
func TestOracleAgainstItself(t *testing.T) {
	Run(t, Tolerance{}, Candidate{"ref", func(*testing.T) kernels.Backend { return ref.New() }})
}

func TestOracleThreads(t *testing.T) {
	var opened []int
	runThreads(t, thin(thin(suite())), func(_ *testing.T, threads int) kernels.Backend {
		opened = append(opened, threads)
		return ref.New()
	})
	if want := 3 * len(suite()); len(opened) != want {
		t.Errorf("%d backends were opened, want %d", len(opened), want)
	}
}

// stored is the oracle with the types of a GPU, or of a CPU: it computes in
// float64 and rounds what it stores.
type stored struct {
	kernels.Backend
	kernels.Precision
}

func (s stored) Info() kernels.Info {
	info := s.Backend.Info()
	info.Precision = s.Precision
	return info
}

// TestTolerances shows that a backend whose only errors are those of its types
// meets its tolerance.
func TestTolerances(t *testing.T) {
	skipUnderRace(t)
	for name, test := range map[string]struct {
		precision kernels.Precision
		tolerance Tolerance
	}{
		"float64":  {kernels.Precision{Compute: kernels.F64, Master: kernels.F64}, Float64},
		"float32":  {kernels.Precision{Compute: kernels.F32, Master: kernels.F32}, Float32},
		"bfloat16": {kernels.Precision{Compute: kernels.BF16, Master: kernels.F32}, BFloat16},
	} {
		t.Run(name, func(t *testing.T) {
			open := func(*testing.T) kernels.Backend { return stored{ref.New(), test.precision} }
			run(t, thin(suite()), test.tolerance, []Candidate{{name, open}})
		})
	}
}

func skipUnderRace(t *testing.T) {
	if raceEnabled {
		t.Skip("one goroutine, many numbers: nothing for the race detector")
	}
}

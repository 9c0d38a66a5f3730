package cpu

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"parallax/kernels"
	"parallax/kernels/kerneltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// openSet opens a backend with a kernel set that cpuid need not have chosen.
func openSet(set *kernelSet, threads int) *Backend {
	return &Backend{pool: newPool(threads), kernels: set}
}

func TestConformance(t *testing.T) {
	for _, set := range availableSets() {
		t.Run(set.key, func(t *testing.T) {
			kerneltest.Run(t, func(*testing.T) kernels.Backend { return openSet(set, 2) }, kerneltest.Float32)
		})
	}
}

// What is dealt out to threads, and in which order it is added up, is the same
// for all kernel sets.
func TestResultsDoNotDependOnThreads(t *testing.T) {
	kerneltest.RunThreads(t, func(_ *testing.T, threads int) kernels.Backend { return openSet(availableSets()[0], threads) })
}

func TestOpen(t *testing.T) {
	t.Setenv(kernelsVariable, "")
	for _, name := range []string{"cpu", "cpu:0"} {
		b, err := kernels.Open(name, kernels.Options{Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		want := strings.TrimPrefix(processor()+", "+availableSets()[0].name+", 2 threads", ", ")
		if got := b.Info(); got.Summary != want || got.Device != "cpu" || got.Threads != 2 {
			t.Errorf("%s: %+v, want %q", name, got, want)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := kernels.Open("cpu:1", kernels.Options{}); err == nil || !strings.Contains(err.Error(), "cpu:1") {
		t.Errorf("cpu:1: error %v does not name it", err)
	}
	if _, err := kernels.Open("cpu", kernels.Options{Threads: -1}); err == nil {
		t.Error("-1 threads are accepted")
	}
}

func TestKernelsCanBeForced(t *testing.T) {
	for _, set := range availableSets() {
		t.Setenv(kernelsVariable, set.key)
		b, err := New(kernels.Options{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		if got := b.Info().Summary; !strings.HasSuffix(got, set.name+" by PARALLAX_CPU, 1 thread") {
			t.Errorf("forced to %s: %q", set.key, got)
		}
		if b.kernels != set {
			t.Errorf("%s=%s gave %s", kernelsVariable, set.key, b.kernels.key)
		}
	}
	t.Setenv(kernelsVariable, "mmx")
	if _, err := New(kernels.Options{}); err == nil || !strings.Contains(err.Error(), "portable") {
		t.Errorf("an unknown kernel set: error %v does not list the known ones", err)
	}
}

// A step of a fixed shape allocates nothing once its scratch has grown.
func TestNoAllocations(t *testing.T) {
	b := openSet(availableSets()[0], 2)
	defer b.Close()
	d := newDevice(t, b)
	a := d.inMat(200, 300)
	product := kernels.MatMul{C: d.inMat(200, 200), A: a, B: a, TransB: true, Alpha: 1}
	norm := kernels.RMSNorm{X: a, Y: d.inMat(200, 300), Gain: d.in(300), RStd: d.in(200)}
	run := func() {
		b.MatMul(product)
		b.RMSNorm(norm)
		b.SumSquares(norm.RStd.Slice(0, 1), a.Buf, false)
	}
	run()
	if n := testing.AllocsPerRun(10, run); n > 1 { // the slice's header is the caller's
		t.Errorf("%v allocations", n)
	}
}

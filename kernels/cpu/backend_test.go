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
	var sets []kerneltest.Candidate
	for _, set := range setsWithTwin() {
		sets = append(sets, kerneltest.Candidate{Name: set.key, Open: func(*testing.T) kernels.Backend { return openSet(set, 2) }})
	}
	kerneltest.Run(t, kerneltest.Float32, sets...)
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
	for _, set := range availableSets() {
		b := openSet(set, 2)
		defer b.Close()
		for _, c := range append(rowCases(t, b, 64, 4, 32), productCases(newDevice(t, b))...) {
			t.Run(set.key+"/"+c.name, func(t *testing.T) {
				for range 20 { // until either worker's scratch has grown
					c.run()
				}
				if n := testing.AllocsPerRun(20, c.run); n > 0 {
					t.Errorf("%v allocations", n)
				}
			})
		}
	}
}

// productCases are the operations that use the workers' scratch.
func productCases(d *device) []rowCase {
	const batch, length, heads, dim, words = 2, 64, 2, 32, 150
	a, square := d.inMat(batch*length, heads*dim), d.inMat(batch*length, batch*length)
	product := kernels.MatMul{C: square, A: a, B: a, TransB: true, Alpha: 1}
	at := kernels.Attention{AttentionShape: kernels.AttentionShape{Batch: batch, SeqLen: length, QHeads: heads, KVHeads: heads, HeadDim: dim, Scale: 0.2},
		Q: a, R: a, K: a, V: a, O: d.inMat(a.Rows, a.Cols), VBar: d.inMat(a.Rows, a.Cols), LSE: d.in(a.Rows * heads), TBar: d.in(a.Rows * heads)}
	back := kernels.AttentionBackward{AttentionShape: at.AttentionShape, Q: a, R: a, K: a, V: a, DO: a, O: at.O, VBar: at.VBar, LSE: at.LSE, TBar: at.TBar,
		DQ: d.inMat(a.Rows, a.Cols), DR: d.inMat(a.Rows, a.Cols), DK: d.inMat(a.Rows, a.Cols), DV: d.inMat(a.Rows, a.Cols)}
	head := kernels.HeadLoss{X: a, W: d.inMat(words, a.Cols), Targets: d.ints(make([]int32, a.Rows)), Loss: d.in(a.Rows), Scale: 1,
		DX: d.inMat(a.Rows, a.Cols), DW: d.inMat(words, a.Cols)}
	sum := d.in(1)
	return []rowCase{
		{"MatMul", 0, func() { d.MatMul(product) }},
		{"Attention", 0, func() { d.Attention(at) }},
		{"AttentionBackward", 0, func() { d.AttentionBackward(back) }},
		{"HeadLoss", 0, func() { d.HeadLoss(head) }},
		{"SumSquares", 0, func() { d.SumSquares(sum, a.Buf, false) }},
	}
}

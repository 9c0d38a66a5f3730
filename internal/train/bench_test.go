package train

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"parallax/internal/config"
	"parallax/kernels"
)

// BenchmarkReduction makes the steps of some presets, in turn with each reduction,
// and reports the ratios of processor time and of the median step: the first is the
// one to trust on a machine that others use too. Four ranks share the process.
func BenchmarkReduction(b *testing.B) {
	for _, size := range []struct {
		preset string
		ranks  int
	}{{"tiny", 1}, {"sim", 1}, {"sim", 4}, {"quick", 1}, {"shakespeare", 1}, {"small", 1}} {
		b.Run(fmt.Sprintf("%s/ranks=%d", size.preset, size.ranks), func(b *testing.B) { benchReduction(b, size.preset, size.ranks) })
	}
}

// BenchmarkStep makes whole steps, warmed up, of one rank, and of four that share the
// process, and reports what all of them allocate in a step. One allocates nothing; of
// four, what is left is the ring's: see the package's comment.
func BenchmarkStep(b *testing.B) {
	for _, ranks := range []int{1, 4} {
		for _, reduction := range []string{"sum-f32", "sum-exact"} {
			b.Run(fmt.Sprintf("ranks=%d/%s", ranks, reduction), func(b *testing.B) {
				m := newBenched(b, "tiny", ranks, reduction)
				m.step(b)
				b.ReportAllocs()
				for b.Loop() {
					m.step(b)
				}
			})
		}
	}
}

func benchReduction(b *testing.B, preset string, ranks int) {
	f32, exact := newBenched(b, preset, ranks, "sum-f32"), newBenched(b, preset, ranks, "sum-exact")
	first, second := f32, exact
	for b.Loop() {
		first.step(b)
		second.step(b)
		first, second = second, first
	}
	b.ReportMetric(float64(f32.spent.Microseconds())/float64(b.N)/1e3, "f32-cpu-ms/step")
	b.ReportMetric(float64(exact.spent.Microseconds())/float64(b.N)/1e3, "exact-cpu-ms/step")
	b.ReportMetric(exact.spent.Seconds()/f32.spent.Seconds(), "cpu-ratio")
	b.ReportMetric(exact.median()/f32.median(), "median-ratio")
	b.ReportMetric(float64(exact.again), "recomputed")
}

// benched is a cluster whose steps are timed.
type benched struct {
	cluster
	spent time.Duration // by all processors
	steps []float64     // seconds
	again int           // steps computed twice
}

func newBenched(b *testing.B, preset string, ranks int, reduction string) *benched {
	loaded, err := config.Load(config.Sources{Preset: preset, Set: []string{"train.reduction=" + reduction, "train.steps=1000000"}})
	if err != nil {
		b.Fatal(err)
	}
	spec, m := loaded.Spec, &benched{cluster: make(cluster, ranks)}
	for i := range m.cluster {
		be, err := kernels.Open("cpu", kernels.Options{Threads: 1})
		if err != nil {
			b.Fatal(err)
		}
		if m.cluster[i], err = New(be, spec, &steady{text{seqLen: spec.Train.SeqLen, sequences: 4000}}); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { m.cluster[i].Close(); be.Close() })
	}
	m.enter(b)
	m.step(b) // with sum-exact it is computed twice
	m.spent, m.steps, m.again = 0, nil, 0
	return m
}

func (m *benched) step(b *testing.B) {
	began, before := time.Now(), processorTime(b)
	if len(m.cluster) == 1 {
		m.stepOf(b, 0)
	} else {
		m.each(b, func(rank int, _ *Trainer) error { m.stepOf(b, rank); return nil })
	}
	m.spent += processorTime(b) - before
	m.steps = append(m.steps, time.Since(began).Seconds())
}

func (m *benched) stepOf(b *testing.B, rank int) {
	r, err := m.cluster[rank].Step(context.Background())
	if err != nil {
		b.Error(err)
	}
	if rank == 0 && r.Recomputed {
		m.again++
	}
}

func (m *benched) median() float64 { return slices.Sorted(slices.Values(m.steps))[len(m.steps)/2] }

// processorTime is what all threads of the process have used.
func processorTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

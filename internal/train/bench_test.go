package train

import (
	"context"
	"syscall"
	"testing"
	"time"

	"parallax/internal/config"
	"parallax/kernels"
)

// BenchmarkReduction makes the steps of the preset sim on one rank, in turn with
// each reduction, and reports processor time: the figure to trust on a machine
// that others use too.
func BenchmarkReduction(b *testing.B) {
	names := []string{"sum-f32", "sum-exact"}
	trainers := make([]*Trainer, len(names))
	for i, name := range names {
		trainers[i] = benchTrainer(b, name)
		benchStep(b, trainers[i]) // sum-exact makes its first step twice
	}
	spent := make([]time.Duration, len(names))
	for b.Loop() {
		for i, trainer := range trainers {
			spent[i] += benchStep(b, trainer)
		}
	}
	for i, name := range names {
		b.ReportMetric(spent[i].Seconds()/float64(b.N)*1e3, name+"-cpu-ms/step")
	}
	b.ReportMetric(spent[1].Seconds()/spent[0].Seconds(), "exact/f32")
}

func benchStep(b *testing.B, trainer *Trainer) time.Duration {
	before := processorTime(b)
	r, err := trainer.Step(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	if r.Recomputed && r.Step > 1 {
		b.Logf("step %d was computed twice", r.Step)
	}
	return processorTime(b) - before
}

func benchTrainer(b *testing.B, reduction string) *Trainer {
	loaded, err := config.Load(config.Sources{Preset: "sim", Set: []string{"train.reduction=" + reduction, "train.steps=1000000"}})
	if err != nil {
		b.Fatal(err)
	}
	be, err := kernels.Open("cpu", kernels.Options{Threads: 1})
	if err != nil {
		b.Fatal(err)
	}
	trainer, err := New(be, loaded.Spec, text{seqLen: loaded.Spec.Train.SeqLen, sequences: 4000})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { trainer.Close(); be.Close() })
	enterAlone(b, trainer)
	return trainer
}

// processorTime is what all threads of the process have used.
func processorTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

package cpu

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"parallax/kernels"
)

// measure runs f, which does the given number of floating-point operations, and
// reports GFLOP/s by the clock and per second of processor time: the second is
// the one to trust on a machine that others use too.
func measure(b *testing.B, flops int64, f func()) { measureRate(b, flops, "GFLOP", f) }

// measureBytes is measure for an operation that moves the given number of bytes.
func measureBytes(b *testing.B, bytes int64, f func()) { measureRate(b, bytes, "GB", f) }

func measureRate(b *testing.B, work int64, giga string, f func()) {
	f()
	b.ReportAllocs()
	before := processorTime(b)
	for b.Loop() {
		f()
	}
	total := float64(work) * float64(b.N) / 1e9
	b.ReportMetric(total/b.Elapsed().Seconds(), giga+"/s")
	b.ReportMetric(total/(processorTime(b)-before).Seconds(), giga+"/cpu-s")
}

// processorTime is what all threads of the process have used.
func processorTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// benchMat is a matrix of normal numbers: all their digits count, for numbers of few
// bits take less power, and with it time, on a matrix engine.
func benchMat(b testing.TB, dev *Backend, rows, cols int) kernels.Matrix {
	buf, err := dev.Alloc(kernels.F32, rows*cols)
	if err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var some [8191]float32
	for i := range some {
		some[i] = float32(rng.NormFloat64())
	}
	for x := floats(buf); len(x) > 0; {
		x = x[copy(x, some[:]):]
	}
	return kernels.Mat(buf, rows, cols)
}

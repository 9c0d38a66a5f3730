package cpu

import (
	"syscall"
	"testing"
	"time"

	"parallax/kernels"
)

// measure runs f, which does the given number of floating-point operations, and
// reports GFLOP/s by the clock and per second of processor time: the second is
// the one to trust on a machine that others use too.
func measure(b *testing.B, flops int64, f func()) {
	f()
	b.ReportAllocs()
	before := processorTime(b)
	for b.Loop() {
		f()
	}
	total := float64(flops) * float64(b.N) / 1e9
	b.ReportMetric(total/b.Elapsed().Seconds(), "GFLOP/s")
	b.ReportMetric(total/(processorTime(b)-before).Seconds(), "GFLOP/cpu-s")
}

// processorTime is what all threads of the process have used.
func processorTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// benchMat is a matrix of small numbers that are no denormals.
func benchMat(b *testing.B, dev *Backend, rows, cols int) kernels.Matrix {
	buf, err := dev.Alloc(kernels.F32, rows*cols)
	if err != nil {
		b.Fatal(err)
	}
	for i, x := 0, floats(buf); i < len(x); i++ {
		x[i] = (float32(i%17) - 8) / 16
	}
	return kernels.Mat(buf, rows, cols)
}

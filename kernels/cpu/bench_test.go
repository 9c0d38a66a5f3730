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

// benchMat is a matrix of small numbers that are no denormals.
func benchMat(b testing.TB, dev *Backend, rows, cols int) kernels.Matrix {
	buf, err := dev.Alloc(kernels.F32, rows*cols)
	if err != nil {
		b.Fatal(err)
	}
	for i, x := 0, floats(buf); i < len(x); i++ {
		x[i] = (float32(i%17) - 8) / 16
	}
	return kernels.Mat(buf, rows, cols)
}

//go:build cuda

package cuda

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"gorgonia.org/cu"
	"parallax/kernels"
	"parallax/kernels/kerneltest"
)

// bfloat16 is what this backend is held to: 8 bits of mantissa in what it stores,
// float32 in between.
var bfloat16 = kerneltest.Tolerance{
	Compute: kerneltest.Limit{RMS: 1e-2, Max: 4e-2},
	Master:  kerneltest.Limit{RMS: 1e-6, Max: 4e-6},
}

// openGPU opens the first GPU, or skips the test where there is none.
func openGPU(t testing.TB) *Backend {
	t.Helper()
	if _, err := findDevice(0); err != nil {
		t.Skipf("needs a GPU: %v", err)
	}
	b, err := open(0)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestConformance(t *testing.T) {
	b := openGPU(t)
	if err := Prebuild(b.arch, 1, 2, 3, 4, 8, 16, 17, 24, 32, 33, 64, 80, 128, 256); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	kerneltest.Run(t, func(t *testing.T) kernels.Backend { return openGPU(t) }, bfloat16)
}

// bench is a backend with random tensors.
type bench struct {
	*Backend
	t   testing.TB
	rng *rand.Rand
}

func newBench(t testing.TB) *bench {
	b := openGPU(t)
	t.Cleanup(func() { b.Close() })
	return &bench{Backend: b, t: t, rng: rand.New(rand.NewPCG(1, 2))}
}

// random is a matrix of normal numbers.
func (d *bench) random(dt kernels.DType, rows, cols int) kernels.Matrix {
	d.t.Helper()
	buf, err := d.Alloc(dt, rows*cols)
	if err != nil {
		d.t.Fatal(err)
	}
	raw := d.HostAlloc(rows * cols * dt.Size())
	if dt == kernels.BF16 {
		for i, x := 0, kernels.Cast[uint16](raw); i < len(x); i++ {
			x[i] = kernels.ToBF16(float32(d.rng.NormFloat64()))
		}
	} else {
		for i, x := 0, kernels.Cast[float32](raw); i < len(x); i++ {
			x[i] = float32(d.rng.NormFloat64())
		}
	}
	if err := d.CopyIn(buf, raw).Wait(); err != nil {
		d.t.Fatal(err)
	}
	return kernels.Mat(buf, rows, cols)
}

// medianTime is the median time of an operation on the GPU, by its own clock.
func (d *bench) medianTime(op func()) time.Duration {
	d.t.Helper()
	const warm, rounds = 3, 15
	events := make([]cu.Event, rounds+1)
	record := func(i int) {
		d.queue.do("benchmark", func() (err error) {
			if events[i], err = cu.MakeEvent(cu.DefaultEvent); err != nil {
				return err
			}
			return events[i].Record(d.queue.compute.stream)
		})
	}
	for range warm {
		op()
	}
	record(0)
	for i := range rounds {
		op()
		record(i + 1)
	}
	if err := d.Sync(); err != nil {
		d.t.Fatal(err)
	}
	times := make([]time.Duration, rounds)
	for i := range times {
		ms, err := events[i].Elapsed(events[i+1])
		if err != nil {
			d.t.Fatal(err)
		}
		times[i] = time.Duration(ms * float64(time.Millisecond))
	}
	slices.Sort(times)
	return times[rounds/2]
}

// attention lays out one problem, forward and backward.
func (d *bench) attention(s kernels.AttentionShape, probe bool) (kernels.Attention, kernels.AttentionBackward) {
	rows, qcols, kcols, stats := s.Batch*s.SeqLen, s.QHeads*s.HeadDim, s.KVHeads*s.HeadDim, s.Batch*s.QHeads*s.SeqLen
	q := func() kernels.Matrix { return d.random(kernels.BF16, rows, qcols) }
	k := func() kernels.Matrix { return d.random(kernels.BF16, rows, kcols) }
	f := kernels.Attention{AttentionShape: s, O: q(), Q: q(), K: k(), V: k(), LSE: d.random(kernels.F32, stats, 1).Buf}
	b := kernels.AttentionBackward{AttentionShape: s, DQ: q(), DK: k(), DV: k(), DO: q(), Q: f.Q, K: f.K, V: f.V, O: f.O, LSE: f.LSE}
	if probe {
		f.R, f.VBar, f.TBar = q(), q(), d.random(kernels.F32, stats, 1).Buf
		b.R, b.VBar, b.TBar, b.DR = f.R, f.VBar, f.TBar, q()
	}
	return f, b
}

// BenchmarkAttention times the shape that the published kernels are compared at.
func BenchmarkAttention(b *testing.B) {
	for _, probe := range []bool{true, false} {
		for _, dim := range []int{128, 64} {
			b.Run(fmt.Sprintf("probe=%v/D=%d", probe, dim), func(b *testing.B) { benchmarkAttention(b, dim, probe) })
		}
	}
}

func benchmarkAttention(b *testing.B, dim int, probe bool) {
	d := newBench(b)
	s := kernels.AttentionShape{Batch: 4, SeqLen: 4096, QHeads: 16, KVHeads: 8, HeadDim: dim, Scale: 0.088}
	forward, backward := d.attention(s, probe)
	f := d.medianTime(func() { d.Attention(forward) })
	g := d.medianTime(func() { d.AttentionBackward(backward) })
	report := func(name string, flops int64, t time.Duration) {
		b.ReportMetric(float64(flops)/t.Seconds()/1e12, name+"-TFLOP/s")
		b.ReportMetric(float64(t.Microseconds()), name+"-us")
	}
	report("forward", forward.FLOPs(), f)
	report("backward", backward.FLOPs(), g)
	report("both", forward.FLOPs()+backward.FLOPs(), f+g)
	b.ReportMetric(0, "ns/op")
}

// BenchmarkMatMul times one large product: the peak that a step is measured by.
func BenchmarkMatMul(b *testing.B) {
	d := newBench(b)
	const n = 8192
	op := kernels.MatMul{C: d.random(kernels.BF16, n, n), A: d.random(kernels.BF16, n, n), B: d.random(kernels.BF16, n, n), Alpha: 1}
	t := d.medianTime(func() { d.MatMul(op) })
	b.ReportMetric(float64(op.FLOPs())/t.Seconds()/1e12, "TFLOP/s")
	b.ReportMetric(0, "ns/op")
}

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
	kerneltest.Run(t, bfloat16, kerneltest.Candidate{Name: "cuda", Open: func(t *testing.T) kernels.Backend { return openGPU(t) }})
}

// bench is a backend with random tensors.
type bench struct {
	*Backend
	t     testing.TB
	rng   *rand.Rand
	noise []float32 // normal numbers
}

func newBench(t testing.TB) *bench {
	b := openGPU(t)
	t.Cleanup(func() { b.Close() })
	d := &bench{Backend: b, t: t, rng: rand.New(rand.NewPCG(1, 2)), noise: make([]float32, 1<<20+7)}
	for i := range d.noise {
		d.noise[i] = float32(d.rng.NormFloat64())
	}
	return d
}

// random is a matrix of normal numbers: the noise from some place on.
func (d *bench) random(dt kernels.DType, rows, cols int) kernels.Matrix {
	d.t.Helper()
	buf, err := d.Alloc(dt, rows*cols)
	if err != nil {
		d.t.Fatal(err)
	}
	raw, at := d.HostAlloc(rows*cols*dt.Size()), d.rng.IntN(len(d.noise))
	if dt == kernels.BF16 {
		for i, x := 0, kernels.Cast[uint16](raw); i < len(x); i++ {
			x[i] = kernels.ToBF16(d.noise[(at+i)%len(d.noise)])
		}
	} else {
		for i, x := 0, kernels.Cast[float32](raw); i < len(x); i++ {
			x[i] = d.noise[(at+i)%len(d.noise)]
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

// BenchmarkOperations times what else a training step of the 0.6b preset consists
// of, at 4 sequences of 4096, and says how many bytes a second it moves.
func BenchmarkOperations(b *testing.B) {
	const rows, cols, ffn, heads, dim, vocabulary = 4 * 4096, 1024, 3072, 16, 128, 151936
	for _, c := range []struct {
		name  string
		bytes int // that must move
		op    func(d *bench) func()
	}{
		{"rmsnorm", rows * cols * 4, func(d *bench) func() {
			op := kernels.RMSNorm{X: d.random(kernels.BF16, rows, cols), Y: d.random(kernels.BF16, rows, cols),
				Gain: d.random(kernels.BF16, 1, cols).Buf, RStd: d.random(kernels.F32, rows, 1).Buf, Eps: 1e-6}
			return func() { d.RMSNorm(op) }
		}},
		{"rmsnorm-backward", rows * cols * 8, func(d *bench) func() {
			x := func() kernels.Matrix { return d.random(kernels.BF16, rows, cols) }
			op := kernels.RMSNormBackward{DX: x(), DY: x(), X: x(), Add: x(), Gain: d.random(kernels.BF16, 1, cols).Buf,
				RStd: d.random(kernels.F32, rows, 1).Buf, DGain: d.random(kernels.F32, 1, cols).Buf}
			return func() { d.RMSNormBackward(op) }
		}},
		{"rotary", rows * heads * dim * 4, func(d *bench) func() {
			op := kernels.HeadRotary{X: d.random(kernels.BF16, rows, heads*dim), Y: d.random(kernels.BF16, rows, heads*dim), Heads: heads, HeadDim: dim, SeqLen: 4096,
				Table: d.random(kernels.F32, 4096, dim).Buf, Gain: d.random(kernels.BF16, 1, dim).Buf, RStd: d.random(kernels.F32, rows, heads).Buf}
			return func() { d.HeadRotary(op) }
		}},
		{"rotary-backward", rows * heads * dim * 6, func(d *bench) func() {
			op := kernels.HeadRotaryBackward{DX: d.random(kernels.BF16, rows, heads*dim), DY: d.random(kernels.BF16, rows, heads*dim), X: d.random(kernels.BF16, rows, heads*dim),
				Heads: heads, HeadDim: dim, SeqLen: 4096, Table: d.random(kernels.F32, 4096, dim).Buf, Gain: d.random(kernels.BF16, 1, dim).Buf,
				RStd: d.random(kernels.F32, rows, heads).Buf, DGain: d.random(kernels.F32, 1, dim).Buf}
			return func() { d.HeadRotaryBackward(op) }
		}},
		{"swiglu", rows * ffn * 6, func(d *bench) func() {
			x := func() kernels.Matrix { return d.random(kernels.BF16, rows, ffn) }
			op := kernels.SwiGLU{Y: x(), Gate: x(), Up: x()}
			return func() { d.SwiGLU(op) }
		}},
		{"swiglu-backward", rows * ffn * 10, func(d *bench) func() {
			x := func() kernels.Matrix { return d.random(kernels.BF16, rows, ffn) }
			op := kernels.SwiGLUBackward{DGate: x(), DUp: x(), DY: x(), Gate: x(), Up: x()}
			return func() { d.SwiGLUBackward(op) }
		}},
		{"adamw", vocabulary * cols * 30, func(d *bench) func() {
			x := func() kernels.Buffer { return d.random(kernels.F32, vocabulary, cols).Buf }
			op := kernels.AdamW{P: x(), G: x(), M: x(), V: d.zeros(kernels.F32, vocabulary*cols), Work: d.random(kernels.BF16, vocabulary, cols).Buf, LR: 1e-3, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Step: 1}
			return func() { d.AdamW(op) }
		}},
		{"sum-squares", vocabulary * cols * 4, func(d *bench) func() {
			x, y := d.random(kernels.F32, vocabulary, cols).Buf, d.random(kernels.F32, 1, 1).Buf
			return func() { d.SumSquares(y, x, false) }
		}},
		{"embedding-backward", rows * cols * 10, func(d *bench) func() {
			op := kernels.EmbeddingBackward{DW: d.random(kernels.F32, vocabulary, cols), DY: d.random(kernels.BF16, rows, cols), Tokens: d.tokens(rows, vocabulary)}
			return func() { d.EmbeddingBackward(op) }
		}},
		{"head-loss", rows * cols * 4, func(d *bench) func() {
			op := kernels.HeadLoss{X: d.random(kernels.BF16, rows, cols), W: d.random(kernels.BF16, vocabulary, cols), Targets: d.tokens(rows, vocabulary),
				Loss: d.random(kernels.F32, rows, 1).Buf, Scale: 1, DX: d.random(kernels.BF16, rows, cols), DW: d.random(kernels.F32, vocabulary, cols)}
			return func() { d.HeadLoss(op) }
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			d := newBench(b)
			t := d.medianTime(c.op(d))
			b.ReportMetric(float64(t.Microseconds()), "us")
			b.ReportMetric(float64(c.bytes)/t.Seconds()/1e9, "GB/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func (d *bench) zeros(dt kernels.DType, n int) kernels.Buffer {
	buf, err := d.Alloc(dt, n)
	if err != nil {
		d.t.Fatal(err)
	}
	return buf
}

// tokens are random numbers below a vocabulary.
func (d *bench) tokens(n, vocabulary int) kernels.Buffer {
	list := make([]int32, n)
	for i := range list {
		list[i] = int32(d.rng.IntN(vocabulary))
	}
	buf := d.zeros(kernels.I32, n)
	if err := d.CopyIn(buf, kernels.Bytes(list)).Wait(); err != nil {
		d.t.Fatal(err)
	}
	return buf
}

// BenchmarkSymmetric holds a product x x^T, as Newton-Schulz needs it, against the
// three of half its sides that would do where the rest can be mirrored.
func BenchmarkSymmetric(b *testing.B) {
	for _, c := range [][2]int{{1024, 1024}, {1024, 2048}, {1024, 3072}, {2048, 2048}, {2048, 6144}} {
		b.Run(fmt.Sprintf("%dx%d", c[0], c[1]), func(b *testing.B) {
			d := newBench(b)
			n := c[0] / 2
			x, y := d.random(kernels.BF16, c[0], c[1]), d.random(kernels.BF16, c[0], c[0])
			top, bottom := x, x
			top.Rows, bottom.Rows, bottom.Buf = n, n, x.Buf.Slice(n*c[1], x.Buf.Len())
			left := y.Columns(0, n)
			upper, lower := left, left
			upper.Rows, lower.Rows, lower.Buf = n, n, left.Buf.Slice(n*left.Stride, left.Buf.Len())
			right := y.Columns(n, c[0])
			right.Rows, right.Buf = n, right.Buf.Slice(n*right.Stride, right.Buf.Len())
			product := func(to, p, q kernels.Matrix) {
				d.MatMul(kernels.MatMul{C: to, A: p, B: q, TransB: true, Alpha: 1})
			}
			whole := d.medianTime(func() { product(y, x, x) })
			parts := d.medianTime(func() {
				product(upper, top, top)
				product(lower, bottom, top)
				product(right, bottom, bottom)
			})
			b.ReportMetric(float64(whole.Nanoseconds())/1e3, "us-whole")
			b.ReportMetric(float64(parts.Nanoseconds())/1e3, "us-three-parts")
			b.ReportMetric(0, "ns/op")
		})
	}
}

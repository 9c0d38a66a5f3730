package bench

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime/debug"

	"parallax/kernels"
)

// KernelResult is one operation's speed.
type KernelResult struct {
	Name      string  `json:"name"`
	Seconds   Spread  `json:"seconds"`
	FLOPS     float64 `json:"flops_per_s,omitempty"` // at the median, model FLOPs
	Bandwidth float64 `json:"bytes_per_s,omitempty"` // of operations that memory bounds
	Share     float64 `json:"share_of_peak,omitempty"`
}

// kernelCase is one operation on operands of its own.
type kernelCase struct {
	name  string
	flops int64 // one of the two is given
	bytes int64
	run   func()
}

// Kernels measures the operations of a training step, in runs of at least some
// milliseconds each, and tells each result as it comes. peak may be zero.
func Kernels(be kernels.Backend, peak kernels.Peak, runs int, tell func(KernelResult)) error {
	for _, build := range cases() {
		s := &stage{be: be}
		c := build(s)
		if s.err == nil {
			s.err = measure(be, c, peak, runs, tell)
		}
		s.free()
		if s.err != nil {
			return fmt.Errorf("%s: %w", c.name, s.err)
		}
		debug.FreeOSMemory() // operands on the host's heap, before the next ones
	}
	return nil
}

const leastSeconds = 0.01 // of a run

func measure(be kernels.Backend, c kernelCase, peak kernels.Peak, runs int, tell func(KernelResult)) error {
	times := 1
	run := func() error {
		for range times {
			c.run()
		}
		return be.Sync()
	}
	for { // the first runs also warm up
		took, err := timed(run)
		if err != nil {
			return err
		}
		if took >= leastSeconds {
			break
		}
		times *= 2
	}
	seconds := make([]float64, runs)
	for i := range seconds {
		took, err := timed(run)
		if err != nil {
			return err
		}
		seconds[i] = took / float64(times)
	}
	tell(c.result(SpreadOf(seconds), peak))
	return nil
}

func (c kernelCase) result(s Spread, peak kernels.Peak) KernelResult {
	r := KernelResult{Name: c.name, Seconds: s, FLOPS: float64(c.flops) / s.Median, Bandwidth: float64(c.bytes) / s.Median}
	switch {
	case c.flops > 0 && peak.FLOPS > 0:
		r.Share = r.FLOPS / peak.FLOPS
	case c.bytes > 0 && peak.Bandwidth > 0:
		r.Share = r.Bandwidth / peak.Bandwidth
	}
	return r
}

// cases are the operations: products and the head with shapes of a model of width 384
// at 2048 tokens, attention from short to long, then what memory bounds.
func cases() []func(*stage) kernelCase {
	builders := []func(*stage) kernelCase{
		product("matmul NT 2048x1536x384", 2048, 1536, 384, false, true),
		product("matmul NN 2048x384x1536", 2048, 384, 1536, false, false),
		product("matmul TN 1536x384x2048", 1536, 384, 2048, true, false),
		product("matmul NT 2048x64x384", 2048, 64, 384, false, true),
		newtonSchulz(384, 1536),
		newtonSchulz(1024, 1024),
		headLoss(2048, 384, 8192),
	}
	for _, shape := range []struct{ batch, heads, length, dim int }{{4, 6, 256, 64}, {1, 8, 1024, 64}, {1, 8, 1024, 128}, {1, 8, 4096, 64}, {1, 8, 4096, 128}} {
		for _, mixer := range []string{"softmax", "parallax"} {
			for _, backward := range []bool{false, true} {
				builders = append(builders, attention(mixer, shape.batch, shape.heads, shape.length, shape.dim, mixer == "parallax", backward))
			}
		}
	}
	return append(builders, memoryCases()...)
}

// stage allocates a case's operands, filled with small random numbers that come again
// after [randoms].
type stage struct {
	be      kernels.Backend
	buffers []kernels.Buffer
	err     error
}

func (s *stage) floats(dt kernels.DType, n int) kernels.Buffer {
	b := s.alloc(dt, n)
	if s.err != nil {
		return nil
	}
	r := rand.New(rand.NewPCG(uint64(n), 1))
	values := make([]float64, min(n, randoms))
	for i := range values {
		values[i] = r.Float64() - 0.5
	}
	s.err = kernels.WriteFloats(s.be, b.Slice(0, len(values)), values)
	for at := len(values); at < n; at *= 2 {
		end := min(2*at, n)
		s.be.Copy(b.Slice(at, end), b.Slice(0, end-at))
	}
	return b
}

// randoms is how many numbers are drawn for an operand.
const randoms = 1 << 20

func (s *stage) alloc(dt kernels.DType, n int) kernels.Buffer {
	if s.err != nil {
		return nil
	}
	var b kernels.Buffer
	if b, s.err = s.be.Alloc(dt, n); s.err == nil {
		s.buffers = append(s.buffers, b)
	}
	return b
}

// tokens are numbers below vocabulary, spread over it.
func (s *stage) tokens(n, vocabulary int) kernels.Buffer {
	b := s.alloc(kernels.I32, n)
	if s.err != nil {
		return nil
	}
	raw := s.be.HostAlloc(4 * n)
	for i := range kernels.Cast[int32](raw) {
		kernels.Cast[int32](raw)[i] = int32(i * 40503 % vocabulary)
	}
	s.err = s.be.CopyIn(b, raw).Wait()
	return b
}

func (s *stage) compute(n int) kernels.Buffer { return s.floats(s.be.Info().Precision.Compute, n) }
func (s *stage) master(n int) kernels.Buffer  { return s.floats(s.be.Info().Precision.Master, n) }

func (s *stage) matrix(rows, cols int) kernels.Matrix {
	return kernels.Mat(s.compute(rows*cols), rows, cols)
}

// bytesOf is the size of n elements of the Compute type.
func (s *stage) bytesOf(n int) int64 { return int64(n * s.be.Info().Precision.Compute.Size()) }

func (s *stage) free() {
	for _, b := range s.buffers {
		b.Free()
	}
}

func product(name string, m, n, k int, transA, transB bool) func(*stage) kernelCase {
	return func(s *stage) kernelCase {
		op := kernels.MatMul{C: s.matrix(m, n), A: s.matrix(m, k), B: s.matrix(k, n), TransA: transA, TransB: transB, Alpha: 1}
		if transA {
			op.A.Rows, op.A.Cols, op.A.Stride = k, m, m
		}
		if transB {
			op.B.Rows, op.B.Cols, op.B.Stride = n, k, k
		}
		return kernelCase{name: name, flops: op.FLOPs(), run: func() { s.be.MatMul(op) }}
	}
}

// newtonSchulz is one iteration on an m x n matrix, as the optimizer makes it: two
// products with symmetric results, counted by what must be computed of them, and
// one without.
func newtonSchulz(m, n int) func(*stage) kernelCase {
	return func(s *stage) kernelCase {
		x, y, a, b := s.matrix(m, n), s.matrix(m, n), s.matrix(m, m), s.matrix(m, m)
		gram := kernels.MatMul{C: a, A: x, B: x, TransB: true, Alpha: 1, Symmetric: true}
		square := kernels.MatMul{C: b, A: a, B: a, Alpha: 2.0315, Beta: -4.7750, Add: a, Symmetric: true}
		last := kernels.MatMul{C: y, A: b, B: x, Alpha: 1, Beta: 3.4445, Add: x}
		return kernelCase{name: fmt.Sprintf("Newton-Schulz iteration %dx%d", m, n), flops: (gram.FLOPs()+square.FLOPs())/2 + last.FLOPs(),
			run: func() { s.be.MatMul(gram); s.be.MatMul(square); s.be.MatMul(last) }}
	}
}

func attention(mixer string, batch, heads, length, dim int, probe, backward bool) func(*stage) kernelCase {
	return func(s *stage) kernelCase {
		rows, cols := batch*length, heads*dim
		op := kernels.Attention{
			AttentionShape: kernels.AttentionShape{Batch: batch, SeqLen: length, QHeads: heads, KVHeads: heads, HeadDim: dim, Scale: 1 / math.Sqrt(float64(dim))},
			O:              s.matrix(rows, cols), Q: s.matrix(rows, cols), K: s.matrix(rows, cols), V: s.matrix(rows, cols),
			LSE: s.master(rows * heads),
		}
		if probe {
			op.R, op.TBar = s.matrix(rows, cols), s.master(rows*heads)
			if s.be.NeedsVBar(op.AttentionShape) {
				op.VBar = s.matrix(rows, cols)
			}
		}
		c := kernelCase{name: fmt.Sprintf("%s attention forward B%d H%d T%d D%d", mixer, batch, heads, length, dim),
			flops: op.FLOPs(), run: func() { s.be.Attention(op) }}
		if !backward {
			return c
		}
		back := kernels.AttentionBackward{AttentionShape: op.AttentionShape,
			DQ: s.matrix(rows, cols), DK: s.matrix(rows, cols), DV: s.matrix(rows, cols), DO: s.matrix(rows, cols),
			Q: op.Q, R: op.R, K: op.K, V: op.V, O: op.O, VBar: op.VBar, LSE: op.LSE, TBar: op.TBar}
		if probe {
			back.DR = s.matrix(rows, cols)
		}
		return kernelCase{name: fmt.Sprintf("%s attention forward+backward B%d H%d T%d D%d", mixer, batch, heads, length, dim),
			flops: op.FLOPs() + back.FLOPs(), run: func() { s.be.Attention(op); s.be.AttentionBackward(back) }}
	}
}

func headLoss(n, d, vocabulary int) func(*stage) kernelCase {
	return func(s *stage) kernelCase {
		op := kernels.HeadLoss{X: s.matrix(n, d), W: s.matrix(vocabulary, d), Targets: s.alloc(kernels.I32, n),
			Loss: s.master(n), Scale: 1, DX: s.matrix(n, d), DW: kernels.Mat(s.master(vocabulary*d), vocabulary, d)}
		return kernelCase{name: fmt.Sprintf("head and loss %dx%d, vocabulary %d", n, d, vocabulary), flops: op.FLOPs(),
			run: func() { s.be.HeadLoss(op) }}
	}
}

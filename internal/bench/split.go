package bench

import (
	"cmp"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"parallax/kernels"
)

// Part is what one kind of operation takes of a step.
type Part struct {
	Operation string  `json:"operation"` // with M x N x K, of a matrix product
	Calls     float64 `json:"calls"`     // in a step
	Seconds   float64 `json:"seconds"`   // likewise
	FLOPS     float64 `json:"flops_per_s,omitempty"`

	flops int64
}

// splitter is a backend that times every operation while it is on. It waits for
// each, so that a device with a queue of its own loses what the queue hides.
type splitter struct {
	kernels.Backend
	on    bool
	parts map[string]*Part
	flops atomic.Int64 // of products in lanes
}

func newSplitter(be kernels.Backend) *splitter {
	return &splitter{Backend: be, parts: map[string]*Part{}}
}

// split is the time of each operation per step, the longest first.
func (s *splitter) split(steps int) []Part {
	var all []Part
	for _, p := range s.parts {
		if p.flops > 0 {
			p.FLOPS = float64(p.flops) / p.Seconds
		}
		p.Calls /= float64(steps)
		p.Seconds /= float64(steps)
		all = append(all, *p)
	}
	slices.SortFunc(all, func(a, b Part) int {
		return cmp.Or(cmp.Compare(b.Seconds, a.Seconds), cmp.Compare(a.Operation, b.Operation))
	})
	return all
}

// measure runs an operation, and counts it under a name.
func (s *splitter) measure(name string, flops int64, run func()) {
	if !s.on {
		run()
		return
	}
	began := time.Now()
	run()
	_ = s.Sync() // an error is reported again by whoever waits next
	p := s.parts[name]
	if p == nil {
		p = &Part{Operation: name}
		s.parts[name] = p
	}
	p.Calls++
	p.Seconds += time.Since(began).Seconds()
	p.flops += flops
}

// Lanes and Deal pass on what is dealt to the device's lanes, which is Newton-Schulz, and
// time it as one operation.
func (s *splitter) Lanes() int { return kernels.Lanes(s.Backend) }

func (s *splitter) Deal(n int, sequence func(be kernels.Backend, lane, i int)) {
	if !s.on {
		kernels.Deal(s.Backend, n, sequence)
		return
	}
	before := s.flops.Load()
	s.measure("Newton-Schulz, a matrix a lane", 0, func() {
		kernels.Deal(s.Backend, n, func(be kernels.Backend, lane, i int) { sequence(counter{be, &s.flops}, lane, i) })
	})
	s.parts["Newton-Schulz, a matrix a lane"].flops += s.flops.Load() - before
}

// counter counts what must be computed of products.
type counter struct {
	kernels.Backend
	flops *atomic.Int64
}

func (c counter) MatMul(op kernels.MatMul) {
	c.flops.Add(needed(op))
	c.Backend.MatMul(op)
}

// needed is half of a symmetric product's operations.
func needed(op kernels.MatMul) int64 {
	if op.Symmetric {
		return op.FLOPs() / 2
	}
	return op.FLOPs()
}

// Repeat lets the device repeat sequences only while nothing is timed.
func (s *splitter) Repeat(owner any, part int, sequence func()) {
	if s.on {
		sequence()
		return
	}
	kernels.Repeat(s.Backend, owner, part, sequence)
}

func (s *splitter) Forget(owner any) { kernels.Forget(s.Backend, owner) }

func (s *splitter) MatMul(op kernels.MatMul) {
	if !s.on {
		s.Backend.MatMul(op)
		return
	}
	m, n, k := op.Dims()
	letter := map[bool]string{false: "N", true: "T"}
	name := fmt.Sprintf("matmul %s%s %dx%dx%d", letter[op.TransA], letter[op.TransB], m, n, k)
	if op.Symmetric {
		name += ", symmetric"
	}
	s.measure(name, needed(op), func() { s.Backend.MatMul(op) })
}

func (s *splitter) Attention(op kernels.Attention) {
	s.measure("attention", op.FLOPs(), func() { s.Backend.Attention(op) })
}

func (s *splitter) AttentionBackward(op kernels.AttentionBackward) {
	s.measure("attention backward", op.FLOPs(), func() { s.Backend.AttentionBackward(op) })
}

func (s *splitter) HeadLoss(op kernels.HeadLoss) {
	s.measure("head and cross-entropy", op.FLOPs(), func() { s.Backend.HeadLoss(op) })
}

func (s *splitter) RMSNorm(op kernels.RMSNorm) {
	s.measure("RMSNorm", 0, func() { s.Backend.RMSNorm(op) })
}

func (s *splitter) RMSNormBackward(op kernels.RMSNormBackward) {
	s.measure("RMSNorm backward", 0, func() { s.Backend.RMSNormBackward(op) })
}

func (s *splitter) HeadRotary(op kernels.HeadRotary) {
	s.measure("rotation", 0, func() { s.Backend.HeadRotary(op) })
}

func (s *splitter) HeadRotaryBackward(op kernels.HeadRotaryBackward) {
	s.measure("rotation backward", 0, func() { s.Backend.HeadRotaryBackward(op) })
}

func (s *splitter) SwiGLU(op kernels.SwiGLU) {
	s.measure("SwiGLU", 0, func() { s.Backend.SwiGLU(op) })
}

func (s *splitter) SwiGLUBackward(op kernels.SwiGLUBackward) {
	s.measure("SwiGLU backward", 0, func() { s.Backend.SwiGLUBackward(op) })
}

func (s *splitter) Embedding(op kernels.Embedding) {
	s.measure("embedding", 0, func() { s.Backend.Embedding(op) })
}

func (s *splitter) EmbeddingBackward(op kernels.EmbeddingBackward) {
	s.measure("embedding backward", 0, func() { s.Backend.EmbeddingBackward(op) })
}

func (s *splitter) Zero(dst kernels.Buffer) {
	s.measure("zero", 0, func() { s.Backend.Zero(dst) })
}

func (s *splitter) Copy(dst, src kernels.Buffer) {
	s.measure("copy", 0, func() { s.Backend.Copy(dst, src) })
}

func (s *splitter) SumSquares(dst, x kernels.Buffer, accumulate bool) {
	s.measure("sum of squares", 0, func() { s.Backend.SumSquares(dst, x, accumulate) })
}

func (s *splitter) AdamW(op kernels.AdamW) {
	s.measure("AdamW", 0, func() { s.Backend.AdamW(op) })
}

func (s *splitter) Momentum(op kernels.Momentum) {
	s.measure("momentum", 0, func() { s.Backend.Momentum(op) })
}

func (s *splitter) Normalize(op kernels.Normalize) {
	s.measure("normalize", 0, func() { s.Backend.Normalize(op) })
}

func (s *splitter) Update(op kernels.Update) {
	s.measure("update", 0, func() { s.Backend.Update(op) })
}

func (s *splitter) Quantize(op kernels.Quantize) {
	s.measure("quantize", 0, func() { s.Backend.Quantize(op) })
}

func (s *splitter) Dequantize(op kernels.Dequantize) {
	s.measure("dequantize", 0, func() { s.Backend.Dequantize(op) })
}

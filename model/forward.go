package model

import (
	"math"

	"parallax/kernels"
)

// Evaluate computes the losses of a micro-batch, without gradients.
func (m *Model) Evaluate(b Batch) {
	m.forward(b)
	m.be.HeadLoss(m.headLoss(b))
}

// Logits computes the logits of position pos of every sequence of a micro-batch
// and writes them to dst, [batch*vocabulary] row by row, of the Master type.
// What follows pos does not matter; b.Targets is not read.
func (m *Model) Logits(b Batch, pos int, dst kernels.Buffer) {
	m.forward(b)
	d := m.cfg.Width
	rows := kernels.Matrix{Buf: m.act.normed.Buf.Slice(pos*d, m.act.normed.Buf.Len()), Rows: m.batch, Cols: d, Stride: m.seqLen * d}
	m.be.MatMul(kernels.MatMul{C: kernels.Mat(dst, m.batch, m.cfg.Vocabulary), A: rows, B: m.work.head, TransB: true, Alpha: 1})
}

// forward runs the layers and the last norm.
func (m *Model) forward(b Batch) {
	m.embed(b)
	for i := range m.act.layers {
		m.attentionBlock(i, b)
		m.ffnBlock(i)
	}
	m.norm(m.act.last, m.work.norm)
}

func (m *Model) embed(b Batch) {
	m.be.Embedding(kernels.Embedding{Y: m.residual(0), W: m.work.embedding, Tokens: b.Tokens})
}

// residual is the stream that enters layer i, and after the last layer its end.
func (m *Model) residual(i int) kernels.Matrix {
	if i == len(m.act.layers) {
		return m.act.last
	}
	return m.act.layers[i].x
}

func (m *Model) attentionBlock(i int, b Batch) {
	w, a := &m.work.layers[i], &m.act.layers[i]
	m.norm(a.x, w.inputNorm)
	m.be.MatMul(kernels.MatMul{C: a.qrkv, A: m.act.normed, B: w.qrkv, TransB: true, Alpha: 1})
	m.rotate(i)
	h, shape := m.attended(i), m.attentionShape(b)
	m.be.Attention(kernels.Attention{
		AttentionShape: shape,
		O:              a.o, Q: h.q, R: h.r, K: h.k, V: h.v, VBar: m.vbar(i, shape), LSE: a.lse, TBar: a.tbar,
	})
	m.be.MatMul(kernels.MatMul{C: a.mid, A: a.o, B: w.o, TransB: true, Alpha: 1, Beta: 1, Add: a.x})
}

// vbar is where layer i keeps VBar for its backward pass, if that reads it.
func (m *Model) vbar(i int, s kernels.AttentionShape) kernels.Matrix {
	if !m.be.NeedsVBar(s) {
		return kernels.Matrix{}
	}
	return m.act.layers[i].vbar
}

func (m *Model) ffnBlock(i int) {
	m.gateUp(i)
	m.down(i)
}

func (m *Model) gateUp(i int) {
	w, a := &m.work.layers[i], &m.act.layers[i]
	m.norm(a.mid, w.postNorm)
	m.be.MatMul(kernels.MatMul{C: a.gateUp, A: m.act.normed, B: w.gateUp, TransB: true, Alpha: 1})
}

func (m *Model) down(i int) {
	w, a := &m.work.layers[i], &m.act.layers[i]
	m.activate(i)
	m.be.MatMul(kernels.MatMul{C: m.residual(i + 1), A: m.act.ffn, B: w.down, TransB: true, Alpha: 1, Beta: 1, Add: a.mid})
}

// norm writes the RMSNorm of x to the scratch, and its statistics.
func (m *Model) norm(x kernels.Matrix, gain kernels.Buffer) {
	m.be.RMSNorm(kernels.RMSNorm{Y: m.act.normed, X: x, Gain: gain, RStd: m.act.rstd, Eps: m.cfg.NormEps})
}

// rotate applies norm and RoPE to q, r and k. With qk_norm the projections are
// kept and the result goes to scratch; without, it is in place, and as the heads
// of q, r and k are neighbours, at once.
func (m *Model) rotate(i int) {
	a, w := &m.act.layers[i], &m.work.layers[i]
	if !m.cfg.QKNorm {
		n := m.cfg.rotatedHeads()
		m.be.HeadRotary(m.headRotary(a.qrk, a.qrk, n, nil, nil))
		return
	}
	from, to, rstd := a.heads, m.act.rot, m.act.headRStd
	m.be.HeadRotary(m.headRotary(to.q, from.q, m.cfg.QHeads, w.qNorm, rstd.q))
	if m.cfg.Mixer.learned() {
		m.be.HeadRotary(m.headRotary(to.r, from.r, m.cfg.QHeads, w.rNorm, rstd.r))
	}
	m.be.HeadRotary(m.headRotary(to.k, from.k, m.cfg.KVHeads, w.kNorm, rstd.k))
}

func (m *Model) headRotary(y, x kernels.Matrix, n int, gain, rstd kernels.Buffer) kernels.HeadRotary {
	return kernels.HeadRotary{
		Y: y, X: x, Heads: n, HeadDim: m.cfg.HeadDim, SeqLen: m.seqLen, Table: m.act.rope,
		Gain: gain, RStd: rstd, Eps: m.cfg.NormEps,
	}
}

// attended is what attention reads in layer i, after rotate.
func (m *Model) attended(i int) heads[kernels.Matrix] {
	h := m.act.layers[i].heads
	if m.cfg.QKNorm {
		h.q, h.r, h.k = m.act.rot.q, m.act.rot.r, m.act.rot.k
	}
	return h
}

func (m *Model) attentionShape(b Batch) kernels.AttentionShape {
	s := m.cfg.attentionShape(m.batch, m.seqLen)
	s.DocStart = b.DocStart
	return s
}

func (c Config) attentionShape(batch, seqLen int) kernels.AttentionShape {
	return kernels.AttentionShape{
		Batch: batch, SeqLen: seqLen, QHeads: c.QHeads, KVHeads: c.KVHeads, HeadDim: c.HeadDim,
		Scale: 1 / math.Sqrt(float64(c.HeadDim)), Window: c.Window,
	}
}

// activate writes silu(gate)*up of layer i to the scratch.
func (m *Model) activate(i int) {
	a := &m.act.layers[i]
	m.be.SwiGLU(kernels.SwiGLU{Y: m.act.ffn, Gate: a.gate, Up: a.up})
}

func (m *Model) headLoss(b Batch) kernels.HeadLoss {
	return kernels.HeadLoss{X: m.act.normed, W: m.work.head, Targets: b.Targets, Loss: m.act.losses}
}

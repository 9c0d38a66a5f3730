package model

import "parallax/kernels"

// pass is a micro-batch on its way through [Model.ForwardBackward].
type pass struct {
	batch Batch
	scale float64
	// parts, each of which completes a range of the gradient: the embedding, the
	// layers, and last, where a pass begins, the forward pass and the head. They are
	// made once, so that a pass allocates nothing.
	parts []func()
}

func (m *Model) preparePass() {
	p := &m.pass
	p.parts = append(p.parts, m.embedBackward)
	for i := range m.act.layers {
		p.parts = append(p.parts, func() { m.layerBackward(i, p.batch) })
	}
	p.parts = append(p.parts, func() {
		m.forward(p.batch)
		m.headBackward(p.batch, p.scale)
	})
}

// ForwardBackward runs a micro-batch and adds the gradient of
//
//	scale * (the sum of the micro-batch's losses)
//
// to Grads. As the backward pass goes on it calls gradReady, unless it is nil,
// for each range [lo, hi) of Grads that it will not touch again: the work that
// completes the range is then enqueued. The ranges descend and cover the buffer
// exactly once: the last norm and head, each layer from the last to the first, the
// embedding.
func (m *Model) ForwardBackward(b Batch, scale float64, gradReady func(lo, hi int)) {
	m.pass.batch, m.pass.scale = b, scale
	hi := m.layout.Size
	for part := len(m.pass.parts) - 1; part >= 0; part-- {
		kernels.Repeat(m.be, m, part, m.pass.parts[part])
		lo := 0
		if part > 0 {
			lo = m.layout.layers[part-1]
		}
		if gradReady != nil {
			gradReady(lo, hi)
		}
		hi = lo
	}
}

// layerBackward is the backward pass of layer i.
func (m *Model) layerBackward(i int, b Batch) {
	if m.cfg.Recompute && i < len(m.act.layers)-1 {
		m.recompute(i, b)
	}
	m.ffnBackward(i)
	m.attentionBackward(i, b)
}

func (m *Model) embedBackward() {
	m.be.EmbeddingBackward(kernels.EmbeddingBackward{DW: m.gradient.embedding, DY: m.act.dx, Tokens: m.pass.batch.Tokens})
}

// recompute brings back what layer i needs for its backward pass and later layers
// have overwritten.
func (m *Model) recompute(i int, b Batch) {
	m.attentionBlock(i, b)
	m.gateUp(i)
}

// headBackward leaves the gradient of the residual stream's end in dx.
func (m *Model) headBackward(b Batch, scale float64) {
	op := m.headLoss(b)
	op.Scale, op.DX, op.DW = scale, m.act.dHead, m.gradient.head
	m.be.HeadLoss(op)
	m.be.RMSNormBackward(kernels.RMSNormBackward{
		DX: m.act.dx, DY: m.act.dHead, X: m.act.last,
		Gain: m.work.norm, RStd: m.act.rstd, DGain: m.gradient.norm,
	})
}

func (m *Model) ffnBackward(i int) {
	w, g, a := &m.work.layers[i], &m.gradient.layers[i], &m.act.layers[i]
	m.activate(i)
	m.accumulate(g.down, m.act.dx, m.act.ffn)
	dffn := m.act.ffn // silu(gate)*up has been used
	m.be.MatMul(kernels.MatMul{C: dffn, A: m.act.dx, B: w.down, Alpha: 1})

	m.be.SwiGLUBackward(kernels.SwiGLUBackward{DGate: a.gate, DUp: a.up, DY: dffn, Gate: a.gate, Up: a.up})
	m.throughNorm(a.mid, a.gateUp, w.gateUp, g.gateUp, w.postNorm, g.postNorm)
}

func (m *Model) attentionBackward(i int, b Batch) {
	w, g, a := &m.work.layers[i], &m.gradient.layers[i], &m.act.layers[i]
	m.accumulate(g.o, m.act.dx, a.o)
	m.be.MatMul(kernels.MatMul{C: m.act.do, A: m.act.dx, B: w.o, Alpha: 1})
	if m.cfg.QKNorm {
		m.rotate(i)
	}
	h, d, shape := m.attended(i), m.act.dHeads, m.attentionShape(b)
	m.be.AttentionBackward(kernels.AttentionBackward{
		AttentionShape: shape,
		DQ:             d.q, DR: d.r, DK: d.k, DV: d.v, DO: m.act.do,
		Q: h.q, R: h.r, K: h.k, V: h.v, O: a.o, VBar: m.vbar(i, shape), LSE: a.lse, TBar: a.tbar,
	})
	m.rotateBackward(i)
	m.throughNorm(a.x, m.act.dqrkv, w.qrkv, g.qrkv, w.inputNorm, g.inputNorm)
}

// rotateBackward turns the gradients of what attention read into those of the
// projections, in place.
func (m *Model) rotateBackward(i int) {
	w, g := &m.work.layers[i], &m.gradient.layers[i]
	if !m.cfg.QKNorm {
		n := m.cfg.rotatedHeads()
		m.be.HeadRotaryBackward(m.headRotaryBackward(m.act.dqrk, kernels.Matrix{}, n, nil, nil, nil))
		return
	}
	x, d, rstd := m.act.layers[i].heads, m.act.dHeads, m.act.headRStd
	m.be.HeadRotaryBackward(m.headRotaryBackward(d.q, x.q, m.cfg.QHeads, w.qNorm, rstd.q, g.qNorm))
	if m.cfg.Mixer.learned() {
		m.be.HeadRotaryBackward(m.headRotaryBackward(d.r, x.r, m.cfg.QHeads, w.rNorm, rstd.r, g.rNorm))
	}
	m.be.HeadRotaryBackward(m.headRotaryBackward(d.k, x.k, m.cfg.KVHeads, w.kNorm, rstd.k, g.kNorm))
}

func (m *Model) headRotaryBackward(d, x kernels.Matrix, n int, gain, rstd, dGain kernels.Buffer) kernels.HeadRotaryBackward {
	return kernels.HeadRotaryBackward{
		DX: d, DY: d, X: x, Heads: n, HeadDim: m.cfg.HeadDim, SeqLen: m.seqLen, Table: m.act.rope,
		Gain: gain, RStd: rstd, DGain: dGain,
	}
}

// throughNorm is the backward pass of y = RMSNorm(x) W^T with a residual past it:
// given dy, and in dx the gradient of what x was added to, it adds the gradients
// of W and of the gain, and leaves the gradient of x in dx.
func (m *Model) throughNorm(x, dy, w, dw kernels.Matrix, gain, dGain kernels.Buffer) {
	m.norm(x, gain)
	m.accumulate(dw, dy, m.act.normed)
	dNormed := m.act.normed // the norm's output has been used
	m.be.MatMul(kernels.MatMul{C: dNormed, A: dy, B: w, Alpha: 1})
	m.be.RMSNormBackward(kernels.RMSNormBackward{
		DX: m.act.dx, DY: dNormed, X: x, Add: m.act.dx,
		Gain: gain, RStd: m.act.rstd, DGain: dGain,
	})
}

// accumulate adds dy^T x, the gradient of W in y = x W^T, to dw.
func (m *Model) accumulate(dw, dy, x kernels.Matrix) {
	m.be.MatMul(kernels.MatMul{C: dw, A: dy, TransA: true, B: x, Alpha: 1, Beta: 1, Add: dw})
}

package model

import "parallax/kernels"

// activations is the memory of a pass over n = batch*seqLen tokens. All of it is
// views of two buffers, one of each type.
type activations struct {
	layers []layerActivations
	last   kernels.Matrix // [n, d], the residual stream after the layers
	losses kernels.Buffer // [n] Master
	rope   kernels.Buffer // [seqLen*HeadDim] Master

	// Scratch, shared by all layers.
	normed kernels.Matrix // [n, d], a norm's output, then the gradient of it
	dx     kernels.Matrix // [n, d], the gradient of the residual stream
	rstd   kernels.Buffer // [n] Master, of the norm at hand
	// headRStd are those of the q, r and k heads at hand, Master; nil without qk_norm.
	headRStd heads[kernels.Buffer]
	// Of the feed-forward block, the attention block, and the head; they share
	// memory, as only one of the three is at work at a time.
	ffn    kernels.Matrix        // [n, FFN], silu(gate)*up, then its gradient
	do     kernels.Matrix        // [n, q columns], the gradient of the attention's output
	dqrkv  kernels.Matrix        // [n, projected]
	dqrk   kernels.Matrix        // its columns of q, r and k
	dHeads heads[kernels.Matrix] // and those of each
	rot    heads[kernels.Matrix] // q, r, k after norm and rotation, with qk_norm
	dHead  kernels.Matrix        // [n, d], the gradient of the last norm's output
}

// layerActivations is what a layer needs for its backward pass. With
// [Config.Recompute] all but x is memory that the layers share.
type layerActivations struct {
	x      kernels.Matrix // [n, d], the residual stream before the layer
	qrkv   kernels.Matrix // [n, projected]: before norm and rotation with qk_norm, else after
	o      kernels.Matrix // [n, q columns]
	vbar   kernels.Matrix // like o, without a probe left out; not every backend touches it
	mid    kernels.Matrix // [n, d], the residual stream between the two blocks
	gateUp kernels.Matrix // [n, 2*FFN]; the backward pass overwrites it
	lse    kernels.Buffer // [n*QHeads] Master
	tbar   kernels.Buffer // like lse, nil without a probe

	// Columns of qrkv and gateUp.
	qrk      kernels.Matrix // of all that is rotated
	heads    heads[kernels.Matrix]
	gate, up kernels.Matrix
}

// heads is one thing for each of q, r, k and v.
type heads[T any] struct{ q, r, k, v T }

// layActivations lays the activations out on two tapes, one of each type.
func layActivations(c Config, batch, seqLen int, compute, master *tape) activations {
	n := batch * seqLen
	act := activations{
		last:   compute.matrix(n, c.Width),
		losses: master.slice(n),
		rope:   master.slice(seqLen * c.HeadDim),
		normed: compute.matrix(n, c.Width),
		dx:     compute.matrix(n, c.Width),
		rstd:   master.slice(n),
	}
	act.layScratch(c, n, compute)
	if c.QKNorm {
		act.headRStd = layHeadRStd(c, n, master)
	}
	for i := range c.Layers {
		x := compute.matrix(n, c.Width)
		if i == 0 || !c.Recompute {
			act.layers = append(act.layers, layLayer(c, n, compute, master))
		} else {
			act.layers = append(act.layers, act.layers[0])
		}
		act.layers[i].x = x
	}
	return act
}

// layScratch lays the scratch of the three blocks over one another.
func (act *activations) layScratch(c Config, n int, t *tape) {
	head, ffn, attention := *t, *t, *t
	act.dHead = head.matrix(n, c.Width)
	act.ffn = ffn.matrix(n, c.FFN)
	act.do = attention.matrix(n, c.qCols())
	act.dqrkv = attention.matrix(n, c.projected())
	act.dqrk, act.dHeads = rotated(c, act.dqrkv), splitHeads(c, act.dqrkv)
	if c.QKNorm {
		act.rot = splitHeads(c, attention.matrix(n, c.rotatedHeads()*c.HeadDim))
	}
	t.at = max(head.at, ffn.at, attention.at)
}

func layHeadRStd(c Config, n int, t *tape) heads[kernels.Buffer] {
	h := heads[kernels.Buffer]{q: t.slice(n * c.QHeads), k: t.slice(n * c.KVHeads)}
	if c.Mixer.learned() {
		h.r = t.slice(n * c.QHeads)
	}
	return h
}

func layLayer(c Config, n int, compute, master *tape) layerActivations {
	act := layerActivations{
		qrkv:   compute.matrix(n, c.projected()),
		o:      compute.matrix(n, c.qCols()),
		mid:    compute.matrix(n, c.Width),
		gateUp: compute.matrix(n, 2*c.FFN),
		lse:    master.slice(n * c.QHeads),
	}
	if c.Mixer.learned() {
		act.vbar = compute.matrix(n, c.qCols())
		act.tbar = master.slice(n * c.QHeads)
	}
	act.qrk, act.heads = rotated(c, act.qrkv), splitHeads(c, act.qrkv)
	if !act.gateUp.Empty() {
		act.gate, act.up = act.gateUp.Columns(0, c.FFN), act.gateUp.Columns(c.FFN, 2*c.FFN)
	}
	return act
}

// rotated views the columns of the heads that are rotated.
func rotated(c Config, m kernels.Matrix) kernels.Matrix {
	if m.Empty() {
		return m
	}
	return m.Columns(0, c.rotatedHeads()*c.HeadDim)
}

// splitHeads views the columns of q, r, k and, where m has them, v.
func splitHeads(c Config, m kernels.Matrix) heads[kernels.Matrix] {
	if m.Empty() {
		return heads[kernels.Matrix]{}
	}
	var h heads[kernels.Matrix]
	at := 0
	next := func(cols int) kernels.Matrix {
		at += cols
		return m.Columns(at-cols, at)
	}
	h.q = next(c.qCols())
	if c.Mixer.learned() {
		h.r = next(c.qCols())
	}
	h.k = next(c.kvCols())
	if m.Cols > at {
		h.v = next(c.kvCols())
	}
	return h
}

// tape cuts aligned pieces off a buffer, one after the other. Without a buffer
// it only counts, and the pieces are empty.
type tape struct {
	buf kernels.Buffer
	at  int // elements used
}

func (t *tape) slice(n int) kernels.Buffer {
	lo := t.at
	t.at = (lo + n + align - 1) / align * align
	if t.buf == nil {
		return nil
	}
	return t.buf.Slice(lo, lo+n)
}

func (t *tape) matrix(rows, cols int) kernels.Matrix {
	b := t.slice(rows * cols)
	if b == nil {
		return kernels.Matrix{}
	}
	return kernels.Mat(b, rows, cols)
}

// activationElements is the number of Compute and of Master elements that the
// activations of a micro-batch take.
func (c Config) activationElements(batch, seqLen int) (compute, master int) {
	var ct, mt tape
	layActivations(c, batch, seqLen, &ct, &mt)
	return ct.at, mt.at
}

package cpu

import "parallax/kernels"

// Attention on the matrix engine: the same plan as attention.go, with tiles of whole
// strips. q and r of a strip lie packed one after the other, and so do their score
// rows, so that one call of the engine gives s and t for a panel of keys. The weights
// are packed partsKeys keys at a time, on the way to the product with V.

const (
	// partsTileRows are the rows of a tile, a multiple of partsEdge; where scores of
	// that many take more than scoreBytes, a tile has one strip.
	partsTileRows = 2 * partsEdge
	// partsKeys are the keys whose weights are packed at a time.
	partsKeys = 256
)

// partsHeads is what attention packs of the keys and values of a head.
type partsHeads struct {
	heads
	e         *engine
	headSteps int // of a product over HeadDim, and panels of HeadDim columns
	keySteps  int // of a product over all keys, and panels of keys
}

func newPartsHeads(h heads) partsHeads {
	return partsHeads{heads: h, e: h.set.engine, headSteps: stepsOf(h.HeadDim), keySteps: stepsOf(h.SeqLen)}
}

// partsPayFor says whether attention of a shape is large enough for the engine.
func partsPayFor(s kernels.AttentionShape) bool {
	return s.SeqLen >= partsEdge && s.HeadDim >= partsEdge/2
}

// packedHead is the size of one head's packed rows, in bfloat16s.
func (h *partsHeads) packedHead() int { return h.headSteps * h.keySteps * partsStep }

// outStride is the distance of rows of a tile's results.
func (h *partsHeads) outStride() int { return h.headSteps * partsEdge }

// packAcross packs the transpose of one head's rows: [panel of keys][step].
func (h *partsHeads) packAcross(dst []uint16, x matrix, seq, head int, stage []float32) {
	for j := 0; j < h.SeqLen; j += partsEdge {
		from := x.data[(seq*h.SeqLen+j)*x.stride+head*h.HeadDim:]
		h.e.packPanelTransposed(h.set, dst[j*h.headSteps*partsStep/partsEdge:], from, x.stride, h.HeadDim, min(partsEdge, h.SeqLen-j), stage)
	}
}

// packDown packs one head's rows: [panel of columns][step of keys].
func (h *partsHeads) packDown(dst []uint16, x matrix, seq, head int, stage []float32) {
	for j := 0; j < h.SeqLen; j += partsEdge {
		from := x.data[(seq*h.SeqLen+j)*x.stride+head*h.HeadDim:]
		h.e.packPanels(dst[j/partsEdge*partsStep:], h.keySteps*partsStep, from, x.stride, min(partsEdge, h.SeqLen-j), h.HeadDim, stage)
	}
}

// firstPanel is the first key of the panel that holds the first key which query i sees.
func (h *partsHeads) firstPanel(seq, i int) int { return h.firstKey(seq, i) / partsEdge * partsEdge }

// partsAttentionJob is Attention on the engine.
type partsAttentionJob struct {
	attentionJob
	parts        partsHeads
	keys, values []uint16 // of all heads
}

// partsAttention runs what Attention has set up in b.attention.
func (b *Backend) partsAttention(pairs int) {
	a := &b.attnParts
	*a = partsAttentionJob{attentionJob: b.attention, parts: newPartsHeads(b.attention.heads)}
	a.tileRows = partsTileRows
	if a.maxSpan(partsTileRows) > scoreBytes/8/partsTileRows {
		a.tileRows = partsEdge
	}
	a.tiles = ceilDiv(a.SeqLen, a.tileRows)
	n := a.parts.packedHead()
	shared := words(b.shared.take(2 * pairs * n / 2))
	a.keys, a.values = shared[:pairs*n], shared[pairs*n:]
	a.packing = true
	b.pool.run(2*pairs, a)
	a.packing = false
	b.pool.run(a.Batch*a.QHeads*a.tiles, a)
}

func (a *partsAttentionJob) run(w *worker, task int) {
	if a.packing {
		pair := task / 2
		seq, head, stage := pair/a.KVHeads, pair%a.KVHeads, w.scratch.take(stageFloats(partsEdge))
		if task%2 == 0 {
			a.parts.packAcross(a.packed(a.keys, pair), a.k, seq, head, stage)
		} else {
			a.parts.packDown(a.packed(a.values, pair), a.v, seq, head, stage)
		}
		return
	}
	// The last tiles see the most keys: they come first. A head's follow each other, so
	// that its keys and values stay in L2.
	head, at := task/a.tiles, a.tiles-1-task%a.tiles
	a.tile(w, head/a.QHeads, head%a.QHeads, at*a.tileRows)
}

func (a *partsAttentionJob) packed(all []uint16, pair int) []uint16 {
	n := a.parts.packedHead()
	return all[pair*n:][:n]
}

// sides is the number of score rows per query: s and t, or s alone.
func (a *attentionJob) sides() int {
	if a.r.empty() {
		return 1
	}
	return 2
}

// partsTile is a tile at work.
type partsTile struct {
	*partsAttentionJob
	w               *worker
	seq, head, pair int
	i0, i1, lo      int
	sides, strips   int
	ld              int
	queries         []uint16  // [strip][side][step]
	scores          []float32 // [strip][side][32][ld]
	weightsOf       []uint16  // [side][step of keys]
	out             []float32 // [side][32][outStride]
	stage           []float32
}

// tile computes the rows from i0 on of one head of one sequence.
func (a *partsAttentionJob) tile(w *worker, seq, head, i0 int) {
	x := partsTile{partsAttentionJob: a, w: w, seq: seq, head: head, pair: seq*a.KVHeads + head/(a.QHeads/a.KVHeads),
		i0: i0, i1: min(i0+a.tileRows, a.SeqLen), lo: a.parts.firstPanel(seq, i0), sides: a.sides()}
	x.strips = ceilDiv(x.i1-i0, partsEdge)
	x.ld = i0 + x.strips*partsEdge - x.lo + cacheLine/4
	queries, keys := x.strips*x.sides*a.parts.headSteps*partsStep, x.sides*partsKeys/partsEdge*partsStep
	rows := x.strips * x.sides * partsEdge
	all := w.scratch.take(queries/2 + rows*x.ld + keys/2 + x.sides*partsEdge*a.parts.outStride() + stageFloats(a.HeadDim))
	x.queries = cutWords(&all, queries)
	x.scores, x.weightsOf = cut(&all, rows*x.ld), cutWords(&all, keys)
	x.out, x.stage = cut(&all, x.sides*partsEdge*a.parts.outStride()), all
	x.score()
	for strip := range x.strips {
		x.weigh(strip)
		x.product(strip)
	}
}

// rows is where the score rows of a side of a strip start.
func (x *partsTile) rows(strip, side int) []float32 {
	return x.scores[(strip*x.sides+side)*partsEdge*x.ld:]
}

// score packs the queries and computes their score rows, panel by panel of keys, from
// the first strip on that sees one of them.
func (x *partsTile) score() {
	h, t := &x.parts, &x.w.block
	size := h.headSteps * partsStep
	for strip := range x.strips {
		i := x.i0 + strip*partsEdge
		for side, m := range []matrix{x.q, x.r}[:x.sides] {
			alpha := float32(1)
			if side == 0 {
				alpha = float32(x.Scale)
			}
			from := m.data[(x.seq*x.SeqLen+i)*m.stride+x.head*x.HeadDim:]
			h.e.packStrips(x.set, x.queries[(strip*x.sides+side)*size:], size, from, m.stride, false, min(partsEdge, x.i1-i), x.HeadDim, alpha, x.stage)
		}
	}
	keys := x.packed(x.keys, x.pair)
	*t = partsBlock{aStrip: size, steps: h.headSteps, storeRow: x.ld}
	for j := x.lo; j < x.i1; j += partsEdge {
		strip := max(0, j-x.i0) / partsEdge
		t.strips = (x.strips - strip) * x.sides
		t.a, t.b = x.queries[strip*x.sides*size:], keys[j/partsEdge*size:]
		t.next = t.b[min(size, len(t.b)-1):]
		t.store = x.rows(strip, 0)[j-x.lo:]
		h.e.multiply(t)
	}
}

// weigh turns a strip's scores into weights.
func (x *partsTile) weigh(strip int) {
	first := x.i0 + strip*partsEdge
	s, t := x.rows(strip, 0), x.rows(strip, x.sides-1)
	for i := first; i < min(first+partsEdge, x.i1); i++ {
		at := (i - first) * x.ld
		x.weights(s[at:], t[at:], x.seq, x.head, i, x.lo, first+partsEdge)
	}
}

// product multiplies a strip's weights with V.
func (x *partsTile) product(strip int) {
	h, t := &x.parts, &x.w.block
	first := x.i0 + strip*partsEdge
	values, from := x.packed(x.values, x.pair), h.firstPanel(x.seq, first)
	*t = partsBlock{a: x.weightsOf, aStrip: partsKeys / partsEdge * partsStep, strips: x.sides, loadRow: h.outStride(), storeRow: h.outStride()}
	for j := from; j < first+partsEdge; j += partsKeys {
		t.steps = (min(j+partsKeys, first+partsEdge) - j) / partsEdge
		for side := range x.sides {
			h.e.packBlock(x.weightsOf[side*t.aStrip:], x.rows(strip, side)[j-x.lo:], x.ld, t.steps)
		}
		for c := range h.headSteps {
			t.b = values[(c*h.keySteps+j/partsEdge)*partsStep:]
			t.store = x.out[c*partsEdge:]
			if t.load = nil; j > from {
				t.load = t.store
			}
			h.e.multiply(t)
		}
	}
	for side, m := range []matrix{x.o, x.vbar}[:x.sides] {
		for i := first; i < min(first+partsEdge, x.i1); i++ {
			copy(m.head(x.seq*x.SeqLen+i, x.head, x.HeadDim), x.out[(side*partsEdge+i-first)*h.outStride():])
		}
	}
}

package cpu

// Attention's gradients on the matrix engine: the plan of attention_backward.go for
// tiles of two strips of queries and blocks of keys. ds and dt are packed twice: as
// rows, for
//
//	dQ = scale ds K         dR = dt K
//
// and as panels of keys, for the transposes of dK and dV, which then need no transpose
// of a score:
//
//	dK^T += [scale q; r]^T [ds; dt]         dV^T += g^T w
//
// dK^T and dV^T are kept in panels of 32 keys.

// partsBlockKeys are the keys of a block.
const partsBlockKeys = 256

// partsBackRows are the rows of a tile.
const partsBackRows = 64

type partsBackwardJob struct {
	attentionBackwardJob
	h partsHeads
}

// partsBackwardHead is what the gradients of one key head need.
type partsBackwardHead struct {
	*partsBackwardJob
	w                     *worker
	keysT, valuesT, keys  []uint16  // packed across, across and down
	dk, dv                []float32 // [panel of keys][outStride][32]
	tau, beta             [partsBackRows]float32
	stage                 []float32
	queries               []uint16  // [scaled q, r, g][strip][step of HeadDim]
	queriesT              []uint16  // transposed: [strip of HeadDim][step: q, r, of strips of queries]
	gradT                 []uint16  // g alike
	scores                []float32 // [s, t, a][strip][32][partsBlockStride]; then ds, dt, w
	rows                  []uint16  // [ds, dt][strip][step of keys]
	panels                []uint16  // [panel of keys][step: ds, dt, of strips of queries]
	weights               []uint16  // w alike
	out                   []float32 // [dq, dr][strip][32][outStride]
	seq, head             int
	i0, i1, strips, sides int
}

const partsBlockStride = partsBlockKeys + cacheLine/4

// partsAttentionBackward runs what AttentionBackward has set up in b.attnBackward.
func (b *Backend) partsAttentionBackward(pairs int) {
	a := &b.attnBackParts
	*a = partsBackwardJob{attentionBackwardJob: b.attnBackward, h: newPartsHeads(b.attnBackward.heads)}
	if a.segments == 1 {
		b.pool.run(pairs, a)
		return
	}
	a.parts = b.shared.take(pairs * a.segments * 2 * a.partFloats())
	b.pool.run(pairs*a.segments, a)
	a.summing = true
	b.pool.run(pairs, a)
}

// partFloats is the size of dK^T or dV^T of a head.
func (a *partsBackwardJob) partFloats() int { return a.h.keySteps * partsEdge * a.h.outStride() }

// part is where a task sums dK^T and dV^T.
func (a *partsBackwardJob) part(task int) (dk, dv []float32) {
	n := a.partFloats()
	at := a.parts[task*2*n:]
	return at[:n], at[n:][:n]
}

func (a *partsBackwardJob) run(w *worker, task int) {
	if a.summing {
		a.sumParts(task)
		return
	}
	pair, segment := task/a.segments, task%a.segments
	seq, kvHead := pair/a.KVHeads, pair%a.KVHeads
	x := a.headOf(w)
	if a.segments > 1 {
		x.dk, x.dv = a.part(task)
	}
	a.h.packAcross(x.keysT, a.k, seq, kvHead, x.stage)
	a.h.packAcross(x.valuesT, a.v, seq, kvHead, x.stage)
	a.h.packDown(x.keys, a.k, seq, kvHead, x.stage)
	clear(x.dk)
	clear(x.dv)
	group := a.QHeads / a.KVHeads
	for head := kvHead * group; head < (kvHead+1)*group; head++ {
		for i0 := segment * partsBackRows; i0 < a.SeqLen; i0 += a.segments * partsBackRows {
			x.queryTile(seq, head, i0)
		}
	}
	if a.segments == 1 {
		a.storeTransposed(a.dk, x.dk, pair)
		a.storeTransposed(a.dv, x.dv, pair)
	}
}

// headOf cuts a worker's scratch.
func (a *partsBackwardJob) headOf(w *worker) *partsBackwardHead {
	x := &w.backward
	*x = partsBackwardHead{partsBackwardJob: a, w: w, sides: a.sides()}
	const strips, keySteps = partsBackRows / partsEdge, partsBlockKeys / partsEdge
	packed := a.h.packedHead()
	query := strips * a.h.headSteps * partsStep
	scores, out := partsBackRows*partsBlockStride, partsBackRows*a.h.outStride()
	stage := stageFloats(max(a.HeadDim, partsBackRows))
	steps := strips * keySteps * partsStep
	all := w.scratch.take(3*lines(packed/2) + 2*lines(a.partFloats()) + lines(stage) + (4+x.sides)*lines(query/2) +
		3*scores + (2*x.sides+1)*lines(steps/2) + x.sides*out)
	x.keysT, x.valuesT, x.keys = cutWords(&all, packed), cutWords(&all, packed), cutWords(&all, packed)
	x.dk, x.dv, x.stage = cut(&all, a.partFloats()), cut(&all, a.partFloats()), cut(&all, stage)
	x.queries, x.queriesT, x.gradT = cutWords(&all, 3*query), cutWords(&all, x.sides*query), cutWords(&all, query)
	x.scores, x.rows, x.panels = cut(&all, 3*scores), cutWords(&all, x.sides*steps), cutWords(&all, x.sides*steps)
	x.weights, x.out = cutWords(&all, steps), all
	return x
}

// storeTransposed copies one head's rows to dst.
func (a *partsBackwardJob) storeTransposed(dst matrix, panels []float32, pair int) {
	at, d := pair/a.KVHeads*a.SeqLen, a.HeadDim
	for j := 0; j < a.SeqLen; j += partsEdge {
		to := dst.data[(at+j)*dst.stride+pair%a.KVHeads*d:]
		packTransposed(a.set, to, dst.stride, panels[j*a.h.outStride():], partsEdge, d, min(partsEdge, a.SeqLen-j))
	}
}

// sumParts adds up the segments of one head.
func (a *partsBackwardJob) sumParts(pair int) {
	dk, dv := a.part(pair * a.segments)
	for segment := 1; segment < a.segments; segment++ {
		k, v := a.part(pair*a.segments + segment)
		a.set.addTo(dk, k)
		a.set.addTo(dv, v)
	}
	a.storeTransposed(a.dk, dk, pair)
	a.storeTransposed(a.dv, dv, pair)
}

// queryTile adds the rows from i0 on of one query head.
func (x *partsBackwardHead) queryTile(seq, head, i0 int) {
	x.seq, x.head, x.i0, x.i1 = seq, head, i0, min(i0+partsBackRows, x.SeqLen)
	x.strips = ceilDiv(x.i1-i0, partsEdge)
	x.loadQueries()
	lo, hi := x.h.firstPanel(seq, i0), i0+x.strips*partsEdge
	for j0 := lo; j0 < hi; j0 += partsBlockKeys {
		j1 := min(j0+partsBlockKeys, hi)
		x.scoreBlock(j0, j1)
		for i := i0; i < x.i1; i++ {
			x.gradRow(i, j0, j1)
		}
		x.queryGradients(j0, j1, j0 == lo)
		x.keyGradients(j0, j1)
	}
	x.storeQueries()
}

// storeQueries copies the tile's dq, scaled, and dr to where they belong.
func (x *partsBackwardHead) storeQueries() {
	for i := x.i0; i < x.i1; i++ {
		at, row := x.seq*x.SeqLen+i, x.out[(i-x.i0)*x.h.outStride():][:x.HeadDim]
		x.set.combine(x.dq.head(at, x.head, x.HeadDim), row, row, float32(x.Scale), 0)
		if x.sides == 2 {
			copy(x.dr.head(at, x.head, x.HeadDim), x.out[(x.strips*partsEdge+i-x.i0)*x.h.outStride():])
		}
	}
}

// loadQueries packs the tile's q (scaled), r and g, as they are and transposed, and computes
// tau = g.o and beta = g.vbar of each row.
func (x *partsBackwardHead) loadQueries() {
	d, steps := x.HeadDim, x.h.headSteps
	at, rows := x.seq*x.SeqLen+x.i0, x.i1-x.i0
	operands := [3]matrix{x.q, x.r, x.do}
	for n, m := range operands {
		if m.empty() {
			continue
		}
		alpha := float32(1)
		if n == 0 {
			alpha = float32(x.Scale)
		}
		from := m.data[at*m.stride+x.head*d:]
		x.h.e.packStrips(x.set, x.queries[n*x.strips*steps*partsStep:], steps*partsStep, from, m.stride, false, rows, d, alpha, x.stage)
		to, stepsT, first := x.queriesT, x.sides*x.strips, n*x.strips
		if n == 2 {
			to, stepsT, first = x.gradT, x.strips, 0
		}
		x.h.e.packStrips(x.set, to[first*partsStep:], stepsT*partsStep, from, m.stride, true, d, rows, alpha, x.stage)
	}
	for i := range rows {
		g := x.do.head(at+i, x.head, d)
		x.tau[i] = x.set.dot(g, x.o.head(at+i, x.head, d))
		if x.sides == 2 {
			x.beta[i] = x.set.dot(g, x.vbar.head(at+i, x.head, d))
		}
	}
}

// side is where s, t or a of the tile start.
func (x *partsBackwardHead) side(n int) []float32 {
	return x.scores[n*x.strips*partsEdge*partsBlockStride:]
}

// scoreBlock computes s, t and a of the tile for the keys [j0, j1): s and t of a
// panel in one call where all strips see it.
func (x *partsBackwardHead) scoreBlock(j0, j1 int) {
	t, size := &x.w.block, x.h.headSteps*partsStep
	*t = partsBlock{aStrip: size, steps: x.h.headSteps, storeRow: partsBlockStride}
	multiply := func(b []uint16, n, strip, strips, j int) {
		t.a, t.b, t.strips = x.queries[(n*x.strips+strip)*size:], b[j/partsEdge*size:], strips
		t.next = t.b[size:]
		t.store = x.side(n)[strip*partsEdge*partsBlockStride+j-j0:]
		x.h.e.multiply(t)
	}
	for j := j0; j < j1; j += partsEdge {
		strip := max(0, j-x.i0) / partsEdge
		if strip == 0 {
			multiply(x.keysT, 0, 0, x.sides*x.strips, j)
		} else {
			for n := range x.sides {
				multiply(x.keysT, n, strip, x.strips-strip, j)
			}
		}
		multiply(x.valuesT, 2, strip, x.strips-strip, j)
	}
}

// gradRow turns row i of the block into ds, dt and w. All keys that it does not
// see get 0.
func (x *partsBackwardHead) gradRow(i, j0, j1 int) {
	row, n := i-x.i0, j1-j0
	at := row * partsBlockStride
	s, weights := x.side(0)[at:][:n], x.side(2)[at:][:n]
	from := min(max(x.firstKey(x.seq, i)-j0, 0), n)
	to := max(min(i+1-j0, n), from)
	stat := (x.seq*x.QHeads+x.head)*x.SeqLen + i
	clearOutside(s, from, to)
	clearOutside(weights, from, to)
	if x.sides == 1 {
		x.set.softmaxGrad(s[from:to], weights[from:to], x.lse[stat], x.tau[row])
		return
	}
	t := x.side(1)[at:][:n]
	clearOutside(t, from, to)
	x.set.parallaxGrad(s[from:to], t[from:to], weights[from:to], x.lse[stat], x.tbar[stat], x.tau[row], x.beta[row])
}

// queryGradients adds the block to dQ and dR, or starts them with it.
func (x *partsBackwardHead) queryGradients(j0, j1 int, first bool) {
	t, h := &x.w.block, &x.h
	steps := (j1 - j0) / partsEdge
	strips := x.sides * x.strips
	*t = partsBlock{a: x.rows, aStrip: steps * partsStep, steps: steps, strips: strips, loadRow: h.outStride(), storeRow: h.outStride()}
	for strip := range strips {
		h.e.packBlock(x.rows[strip*t.aStrip:], x.scores[strip*partsEdge*partsBlockStride:], partsBlockStride, steps)
	}
	for c := range h.headSteps {
		t.b, t.store = x.keys[(c*h.keySteps+j0/partsEdge)*partsStep:], x.out[c*partsEdge:]
		t.next = t.b[min(h.keySteps*partsStep, len(t.b)):]
		if !first {
			t.load = t.store
		}
		h.e.multiply(t)
	}
}

// keyGradients adds the block to dK^T and dV^T.
func (x *partsBackwardHead) keyGradients(j0, j1 int) {
	panels := (j1 - j0) / partsEdge
	strips := x.sides * x.strips
	for strip := range strips {
		x.h.e.pairs(x.panels[strip*partsStep:], strips*partsStep, x.scores[strip*partsEdge*partsBlockStride:], partsBlockStride, panels)
	}
	for strip := range x.strips {
		x.h.e.pairs(x.weights[strip*partsStep:], x.strips*partsStep, x.side(2)[strip*partsEdge*partsBlockStride:], partsBlockStride, panels)
	}
	for j := j0; j < j1; j += partsEdge {
		x.addTransposed(x.dk, x.queriesT, x.panels, strips, j, j0)
		x.addTransposed(x.dv, x.gradT, x.weights, x.strips, j, j0)
	}
}

// addTransposed adds to a panel of keys of dst the product of a transposed operand and a
// packed panel of scores.
func (x *partsBackwardHead) addTransposed(dst []float32, a, panels []uint16, steps, j, j0 int) {
	t, to := &x.w.block, dst[j*x.h.outStride():]
	*t = partsBlock{a: a, aStrip: steps * partsStep, b: panels[(j-j0)/partsEdge*steps*partsStep:], steps: steps, strips: x.h.headSteps,
		load: to, store: to, loadRow: partsEdge, storeRow: partsEdge, next: words(to[partsEdge*x.h.outStride():])}
	x.h.e.multiply(t)
}

package cpu

import "parallax/kernels"

// Backward, for one key head of one sequence and every query head of its group:
// the forward scores are computed again, tile by tile of query rows, and turned
// into ds, dt and w in place. A row is whole, so beta = g.vbar is had as the sum of
// p a, and nobody needs vbar. With the rows of ds and dt interleaved, and those of
// scale*q and r alike,
//
//	dK += [ds dt]^T [scale q; r]     dV += w^T g
//	dQ  = scale ds K                 dR  = dt K
//
// are 8 products in all. dK and dV are summed over tiles by the one task that has
// the head, in the order of the tiles. Where there are few heads, a head's tiles
// are dealt out to several tasks, and their sums added in the order of the tasks.

const (
	backwardRows = 48
	// backwardTasks are wanted: fewer heads are cut into segments, of at least
	// segmentRows rows.
	backwardTasks = 8
	segmentRows   = 256
)

type attentionBackwardJob struct {
	heads
	dq, dr, dk, dv matrix
	do             matrix
	q, r, k, v     matrix
	o, vbar        matrix
	lse, tbar      []float32

	segments int       // of a key head; tile i is in segment i mod segments
	partSize int       // of dK or dV of a head
	parts    []float32 // dK and dV of each segment, with more than one
	summing  bool
}

// headScratch is what one key head's backward holds.
type headScratch struct {
	keysT, valuesT []float32 // panels
	keys           []float32 // [SeqLen][HeadDim]
	sums           []float32 // room for dK and dV
	dk, dv         []float32 // [SeqLen][HeadDim]

	qr  []float32 // [rows][2 or 1][HeadDim]: scale*q, then r
	g   []float32 // [rows][HeadDim]
	ld  int       // of score rows: no multiple of 4 KiB, so that a column does not fall into one cache set
	st  []float32 // [rows][2 or 1][ld]: s then t; then ds and dt
	w   []float32 // [rows][ld]: a, then the weights
	tau [backwardRows]float32
}

// AttentionBackward computes the gradients of Attention.
func (b *Backend) AttentionBackward(op kernels.AttentionBackward) {
	kernels.Must(op.Check())
	a := &b.attnBackward
	*a = attentionBackwardJob{heads: newHeads(b.kernels, op.AttentionShape),
		dq: view(op.DQ), dk: view(op.DK), dv: view(op.DV), do: view(op.DO),
		q: view(op.Q), r: view(op.R), k: view(op.K), v: view(op.V),
		o: view(op.O), vbar: view(op.VBar), lse: floats(op.LSE)}
	if !a.r.empty() {
		a.dr, a.tbar = view(op.DR), floats(op.TBar)
	}
	pairs := op.Batch * op.KVHeads
	a.segments = max(1, min(backwardTasks/pairs, op.SeqLen/segmentRows))
	if b.attendsInParts(op.AttentionShape) {
		kernels.Must(op.CheckVBar())
		b.partsAttentionBackward(pairs)
		return
	}
	a.partSize = a.SeqLen * a.HeadDim
	b.runSegments(a, a, pairs)
}

// runSegments runs j, whose state a is, on every segment of every key head, and then to
// sum up the segments.
func (b *Backend) runSegments(a *attentionBackwardJob, j job, pairs int) {
	if a.segments == 1 {
		b.pool.run(pairs, j)
		return
	}
	a.parts = b.shared.take(pairs * a.segments * 2 * lines(a.partSize))
	b.pool.run(pairs*a.segments, j)
	a.summing = true
	b.pool.run(pairs, j)
}

// part is where a task sums dK and dV: in what the worker has for one head, where it has all of
// the head.
func (a *attentionBackwardJob) part(task int, own []float32) (dk, dv []float32) {
	n := lines(a.partSize)
	if a.segments > 1 {
		own = a.parts[task*2*n:]
	}
	return own[:a.partSize], own[n:][:a.partSize]
}

// sumParts adds up the segments of one head.
func (a *attentionBackwardJob) sumParts(pair int) (dk, dv []float32) {
	dk, dv = a.part(pair*a.segments, nil)
	for segment := 1; segment < a.segments; segment++ {
		k, v := a.part(pair*a.segments+segment, nil)
		a.set.addTo(dk, k)
		a.set.addTo(dv, v)
	}
	return dk, dv
}

// sides is the number of score rows per query: s and t, or s alone.
func (a *attentionBackwardJob) sides() int {
	if a.r.empty() {
		return 1
	}
	return 2
}

func (a *attentionBackwardJob) headScratch(w *worker) *headScratch {
	h := &w.head
	panels, dense, sides := a.panelFloats(), a.SeqLen*a.HeadDim, a.sides()
	rows := backwardRows * lines(a.HeadDim)
	h.ld = lines(a.maxSpan(backwardRows)) + cacheLine/4
	scores := backwardRows * h.ld
	all := w.scratch.take(2*lines(panels) + 3*lines(dense) + (sides+1)*(rows+scores))
	h.keysT, h.valuesT = cut(&all, panels), cut(&all, panels)
	h.keys, h.sums = cut(&all, dense), cut(&all, 2*lines(dense))
	h.qr, h.g = cut(&all, sides*rows), cut(&all, rows)
	h.st, h.w = cut(&all, sides*scores), cut(&all, scores)
	return h
}

func (a *attentionBackwardJob) run(w *worker, task int) {
	if a.summing {
		dk, dv := a.sumParts(task)
		a.storeRows(dk, dv, task)
		return
	}
	pair, segment := task/a.segments, task%a.segments
	seq, kvHead := pair/a.KVHeads, pair%a.KVHeads
	h := a.headScratch(w)
	h.dk, h.dv = a.part(task, h.sums)
	a.packKeys(h.keysT, a.k, seq, kvHead)
	a.packKeys(h.valuesT, a.v, seq, kvHead)
	a.packDense(h.keys, a.k, seq, kvHead)
	clear(h.dk)
	clear(h.dv)
	group := a.QHeads / a.KVHeads
	for head := kvHead * group; head < (kvHead+1)*group; head++ {
		for i0 := segment * backwardRows; i0 < a.SeqLen; i0 += a.segments * backwardRows {
			a.queryTile(w, h, seq, head, i0)
		}
	}
	if a.segments == 1 {
		a.storeRows(h.dk, h.dv, pair)
	}
}

// storeRows copies one head's dK and dV to where they belong.
func (a *attentionBackwardJob) storeRows(dk, dv []float32, pair int) {
	at, head, d := pair/a.KVHeads*a.SeqLen, pair%a.KVHeads, a.HeadDim
	for j := range a.SeqLen {
		copy(a.dk.head(at+j, head, d), dk[j*d:])
		copy(a.dv.head(at+j, head, d), dv[j*d:])
	}
}

// queryTile adds the rows [i0, i0+backwardRows) of one query head.
func (a *attentionBackwardJob) queryTile(w *worker, h *headScratch, seq, head, i0 int) {
	i1 := min(i0+backwardRows, a.SeqLen)
	lo, hi := a.keysOf(seq, i0, i1)
	a.loadQueries(h, seq, head, i0, i1)
	a.scoreTile(w, h, i0, i1, lo, hi)
	for i := i0; i < i1; i++ {
		a.gradRow(h, seq, head, i, i0, lo, hi)
	}
	a.keyGradients(w, h, i0, i1, lo, hi)
	sides := a.sides()
	a.product(&w.tile, a.dq, float32(a.Scale), h.st, sides*h.ld, h.keys, seq, head, i0, i1, lo)
	if sides == 2 {
		a.product(&w.tile, a.dr, 1, h.st[h.ld:], sides*h.ld, h.keys, seq, head, i0, i1, lo)
	}
}

// loadQueries copies the tile's q (scaled), r and g, and computes tau = g.o of each
// row.
func (a *attentionBackwardJob) loadQueries(h *headScratch, seq, head, i0, i1 int) {
	d, sides, scale := a.HeadDim, a.sides(), float32(a.Scale)
	for i := range i1 - i0 {
		at := seq*a.SeqLen + i0 + i
		q := h.qr[i*sides*d:][:d]
		for c, x := range a.q.head(at, head, d) {
			q[c] = scale * x
		}
		if sides == 2 {
			copy(h.qr[(i*sides+1)*d:], a.r.head(at, head, d))
		}
		g := a.do.head(at, head, d)
		copy(h.g[i*d:], g)
		h.tau[i] = a.set.dot(g, a.o.head(at, head, d))
	}
}

// scoreTile computes s, t and a of the tile for the keys [lo, hi).
func (a *attentionBackwardJob) scoreTile(w *worker, h *headScratch, i0, i1, lo, hi int) {
	d, sides, ld := a.HeadDim, a.sides(), h.ld
	a.scores(&w.tile, h.st, sides*ld, h.qr, sides*d, h.keysT, 1, i0, i1, lo, hi)
	if sides == 2 {
		a.scores(&w.tile, h.st[ld:], sides*ld, h.qr[d:], sides*d, h.keysT, 1, i0, i1, lo, hi)
	}
	a.scores(&w.tile, h.w, ld, h.g, d, h.valuesT, 1, i0, i1, lo, hi)
}

// gradRow turns row i into ds, dt and w. All keys that it does not see get 0.
func (a *attentionBackwardJob) gradRow(h *headScratch, seq, head, i, i0, lo, hi int) {
	row, sides := i-i0, a.sides()
	from, to := a.firstKey(seq, i)-lo, i+1-lo
	s, weights := h.st[row*sides*h.ld:][:hi-lo], h.w[row*h.ld:][:hi-lo]
	stat := (seq*a.QHeads+head)*a.SeqLen + i
	clearOutside(s, from, to)
	clearOutside(weights, from, to)
	if sides == 1 {
		a.set.softmaxGrad(s[from:], weights[from:], 0, to-from, a.lse[stat:stat+1], h.tau[row:])
		return
	}
	t := h.st[(row*sides+1)*h.ld:][:hi-lo]
	clearOutside(t, from, to)
	a.set.parallaxRowGrad(s[from:to], t[from:], weights[from:], a.lse[stat], a.tbar[stat], h.tau[row])
}

func clearOutside(s []float32, from, to int) {
	clear(s[:from])
	clear(s[to:])
}

// keyGradients adds the tile to dK and dV.
func (a *attentionBackwardJob) keyGradients(w *worker, h *headScratch, i0, i1, lo, hi int) {
	sides, t := a.sides(), &w.tile
	*t = tile{aRow: 1, aCol: h.ld, bRow: a.HeadDim, cRow: a.HeadDim, addRow: a.HeadDim, alpha: 1, beta: 1}
	for j := lo; j < hi; j += a.set.mr {
		t.m = min(a.set.mr, hi-j)
		skip := max(0, j-i0) // rows before key j do not see it
		rows := i1 - i0 - skip
		a.accumulate(t, h.dk[j*a.HeadDim:], h.st[skip*sides*h.ld+j-lo:], h.qr[skip*sides*a.HeadDim:], rows*sides)
		a.accumulate(t, h.dv[j*a.HeadDim:], h.w[skip*h.ld+j-lo:], h.g[skip*a.HeadDim:], rows)
	}
}

// accumulate adds to the rows of dst the product of k rows of scores, transposed, and
// k rows of x.
func (a *attentionBackwardJob) accumulate(t *tile, dst, scores, x []float32, k int) {
	t.a, t.k = scores, k
	for c := 0; c < a.HeadDim; c += a.set.nr {
		t.n = min(a.set.nr, a.HeadDim-c)
		t.b, t.c, t.add = x[c:], dst[c:], dst[c:]
		a.set.tile(t)
	}
}

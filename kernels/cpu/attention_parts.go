package cpu

import "math"

// Attention on the matrix engine, for a tile of queries and one block of keys after the
// other:
//
//	S = scale Q K^T, T = R K^T
//	each row: e = exp(S - m), and sums of e and of e T
//	O1 += e V, O2 += (e T) V
//
// with m the row's reference, the maximum of the first block that it sees; where a score
// exceeds it by far, m is raised, and what was summed is scaled. At the end
//
//	VBar = O1/d1, tbar = d2/d1, O = VBar (1 + tbar) - O2/d1
//
// t is taken relative to its value at one key of the row, see attention.go.

// partsKeys are the keys of a block.
const partsKeys = 4 * partsEdge

// partsAttentionJob is Attention on the engine.
type partsAttentionJob struct {
	attentionJob
	shape        partsHeads
	keys, values []uint16 // of all heads
}

// partsAttention runs what Attention has set up in b.attention.
func (b *Backend) partsAttention(pairs int) {
	a := &b.attnParts
	*a = partsAttentionJob{attentionJob: b.attention, shape: newPartsHeads(b.attention.heads)}
	a.tiles = ceilDiv(a.SeqLen, tileQueries)
	n := a.shape.packedHead()
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
			a.shape.packAcross(a.ofPair(a.keys, pair), a.k, seq, head, stage)
		} else {
			a.shape.packDown(a.ofPair(a.values, pair), a.v, seq, head, stage)
		}
		return
	}
	// The last tiles see the most keys: they come first. A head's follow each other, so
	// that its keys and values stay in L2.
	head, at := task/a.tiles, a.tiles-1-task%a.tiles
	a.tile(w, head/a.QHeads, head%a.QHeads, at*tileQueries)
}

func (a *partsAttentionJob) ofPair(all []uint16, pair int) []uint16 {
	n := a.shape.packedHead()
	return all[pair*n:][:n]
}

// sides is the number of score rows per query: s and t, or s alone.
func (a *attentionJob) sides() int {
	if a.r.empty() {
		return 1
	}
	return 2
}

// attentionTile is a tile at work.
type attentionTile struct {
	partsTile
	*partsAttentionJob
	// Of each row: m, what t is relative to, the sums of e and of e t, and what the
	// last block multiplied them by.
	m, shift, sum, dot, scale [tileQueries]float32
}

// tile computes the rows from i0 on of one head of one sequence.
func (a *partsAttentionJob) tile(w *worker, seq, head, i0 int) {
	x := &w.forward
	*x = attentionTile{partsTile: newPartsTile(&a.shape, w, a.sides(), partsKeys), partsAttentionJob: a}
	stage := x.cut()
	x.begin(seq, head, i0)
	x.packQueries(x.queries, a.q, 0, x.sides, float32(a.Scale), stage)
	if x.sides == 2 {
		x.packQueries(x.queries, a.r, 1, x.sides, 1, stage)
	}
	pair := seq*a.KVHeads + head/(a.QHeads/a.KVHeads)
	keys, values := a.ofPair(a.keys, pair), a.ofPair(a.values, pair)
	var last keyBlock
	for n, j0 := 0, x.lo; j0 < x.hi; n, j0 = n+1, j0+x.span {
		b := x.block(n, j0)
		x.scoreBy(last)
		for j := b.j0; j < b.j1; j += partsEdge {
			x.scoreQueries(b, keys, j)
		}
		x.finishPacking()
		if n > 0 {
			x.addRows(last, values)
		}
		x.weigh(b)
		x.listBlock(b)
		last = b
	}
	x.packAlone(last)
	x.addRows(last, values)
	x.store()
}

// cut cuts the worker's scratch, and returns what is left of it as a stage.
func (x *attentionTile) cut() []float32 {
	queries, scores, block, out := x.querySize(), x.scoreSize(), x.blockSize(), x.outSize()
	all := x.w.scratch.take(x.sides*(lines(queries/2)+2*scores+lines(block/2)+out) + stageFloats(x.HeadDim))
	x.queries, x.packed = cutWords(&all, x.sides*queries), cutWords(&all, x.sides*block)
	x.scores = [2][]float32{cut(&all, x.sides*scores), cut(&all, x.sides*scores)}
	x.out = cut(&all, x.sides*out)
	return all
}

// listBlock lists the packing of a block.
func (x *attentionTile) listBlock(b keyBlock) {
	x.w.units = x.w.units[:0]
	for side := b.strip * x.sides; side < x.strips*x.sides; side++ {
		for panel := range (b.j1 - b.j0) / partsEdge {
			x.listSide(side, panel)
		}
	}
}

// weigh turns a block's scores into e and e t. Keys that a query does not see get 0.
func (x *attentionTile) weigh(b keyBlock) {
	for i, rows := x.i0+b.strip*partsEdge, 0; i < x.i1; i += rows {
		var from, to int
		rows, from, to = x.alike(b, i)
		for side := range x.sides {
			clearOutside(x.row(b.scores, i, side, x.stride)[:b.j1-b.j0], from, to)
		}
		if from < to {
			x.weighRows(b, i, rows, from, to)
		}
	}
}

// weighRows does so for some rows from query i on, and the keys [from, to) of the block.
func (x *attentionTile) weighRows(b keyBlock, i, rows, from, to int) {
	s, t := x.row(b.scores, i, 0, x.stride)[from:], x.row(b.scores, i, x.sides-1, x.stride)[from:]
	row, end := i-x.i0, i-x.i0+rows
	for n := row; n < end; n++ {
		if x.sum[n] == 0 { // the first block that it sees
			x.m[n], x.shift[n] = float32(math.Inf(-1)), t[(n-row)*x.stride+to-from-1]
		}
	}
	m, sum, scale := x.m[row:end], x.sum[row:], x.scale[row:end]
	if x.sides == 2 {
		x.set.parallaxTerms(s, t, x.stride, to-from, x.shift[row:], m, sum, x.dot[row:], scale)
	} else {
		x.set.softmaxTerms(s, x.stride, to-from, m, sum, scale)
	}
	for n, by := range scale {
		if by != 1 {
			x.scaleOut(i+n, by)
		}
	}
}

// scaleOut scales what was summed of query i.
func (x *attentionTile) scaleOut(i int, scale float32) {
	for c := range x.shape.headSteps {
		for side := range x.sides {
			row := x.row(x.outPanel(c), i, side, partsEdge)[:partsEdge]
			x.set.combine(row, row, row, scale, 0)
		}
	}
}

// store writes the tile's results.
func (x *attentionTile) store() {
	for i := x.i0; i < x.i1; i++ {
		row, stat, at := i-x.i0, x.stat(i), x.seq*x.SeqLen+i
		inv, tbar := 1/x.sum[row], x.dot[row]/x.sum[row]
		x.lse[stat] = x.m[row] + log32(x.sum[row])
		if x.sides == 2 {
			x.tbar[stat] = tbar + x.shift[row]
		}
		for c := 0; c < x.HeadDim; c += partsEdge {
			out, n := x.outPanel(c/partsEdge), min(partsEdge, x.HeadDim-c)
			o1, o2 := x.row(out, i, 0, partsEdge)[:n], x.row(out, i, x.sides-1, partsEdge)[:n]
			o := x.o.head(at, x.head, x.HeadDim)[c:][:n]
			if x.sides == 1 {
				x.set.combine(o, o1, o1, inv, 0)
				continue
			}
			x.set.combine(o, o1, o2, inv*(1+tbar), -inv)
			if !x.vbar.empty() {
				x.set.combine(x.vbar.head(at, x.head, x.HeadDim)[c:][:n], o1, o1, inv, 0)
			}
		}
	}
}

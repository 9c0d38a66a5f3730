package cpu

// Attention's gradients on the matrix engine: the plan of attention_backward.go for
// tiles of four strips of queries and blocks of keys. ds and dt are packed twice: as
// rows, for
//
//	dQ = scale ds K         dR = dt K
//
// and as panels of keys, for the transposes of dK and dV, which then need no transpose
// of a score:
//
//	dK^T += [scale q; r]^T [ds; dt]         dV^T += g^T w
//
// A block is packed while the engine computes the scores of the next one. dK^T and dV^T
// are kept in panels of 32 keys. What there is of q and of r, of s and of t and so on, lies
// strip by strip, so that the strips which see a key follow each other.
//
// Scores are as good as float32's. The sums above are of leading parts: that is half the
// engine's work, and an error of 5e-6, where float32 has 3e-7, in what nothing is computed of
// but sums.

// partsBackKeys are the keys of a block.
const partsBackKeys = 2 * partsEdge

type partsBackwardJob struct {
	attentionBackwardJob
	shape partsHeads
}

// partsBackwardHead is what the gradients of one key head need. Beyond s and t a block's
// scores hold a, [strip][32][stride]; beyond ds and dt as rows, a packed block holds them as
// panels, [panel of keys][step: strips][ds, dt], and w alike.
type partsBackwardHead struct {
	partsTile
	*partsBackwardJob
	keysT, valuesT, keys []uint16  // packed across, across and down
	sums                 []float32 // room for dK and dV
	dk, dv               []float32 // [panel of keys][headSteps * 32][32]
	tau, beta            [tileQueries]float32
	stage                []float32
	grads                []uint16 // g as the queries
	queriesT             []uint16 // transposed: [strip of HeadDim][step: strips of queries][q, r]
	gradsT               []uint16 // g alike
}

// partsAttentionBackward runs what AttentionBackward has set up in b.attnBackward.
func (b *Backend) partsAttentionBackward(pairs int) {
	a := &b.attnBackParts
	*a = partsBackwardJob{attentionBackwardJob: b.attnBackward, shape: newPartsHeads(b.attnBackward.heads)}
	a.partSize = a.shape.keySteps * partsEdge * a.shape.headSteps * partsEdge
	b.runSegments(&a.attentionBackwardJob, a, pairs)
}

func (a *partsBackwardJob) run(w *worker, task int) {
	if a.summing {
		dk, dv := a.sumParts(task)
		a.storeTransposed(dk, dv, task)
		return
	}
	pair, segment := task/a.segments, task%a.segments
	seq, kvHead := pair/a.KVHeads, pair%a.KVHeads
	x := a.headOf(w)
	x.dk, x.dv = a.part(task, x.sums)
	a.shape.packAcross(x.keysT, a.k, seq, kvHead, x.stage)
	a.shape.packAcross(x.valuesT, a.v, seq, kvHead, x.stage)
	a.shape.packDown(x.keys, a.k, seq, kvHead, x.stage)
	clear(x.dk)
	clear(x.dv)
	group := a.QHeads / a.KVHeads
	for head := kvHead * group; head < (kvHead+1)*group; head++ {
		for i0 := segment * tileQueries; i0 < a.SeqLen; i0 += a.segments * tileQueries {
			x.queryTile(seq, head, i0)
		}
	}
	if a.segments == 1 {
		a.storeTransposed(x.dk, x.dv, pair)
	}
}

// headOf cuts a worker's scratch.
func (a *partsBackwardJob) headOf(w *worker) *partsBackwardHead {
	x := &w.backward
	*x = partsBackwardHead{partsTile: newPartsTile(&a.shape, w, a.sides(), partsBackKeys), partsBackwardJob: a}
	x.adder = a.shape.e.multiplyLeading
	packed, part, stage := a.shape.packedHead(), a.partSize, stageFloats(max(a.HeadDim, partsEdge))
	query, scores, block, out := x.querySize(), x.scoreSize(), x.blockSize(), x.outSize()
	all := w.scratch.take(3*lines(packed/2) + 2*lines(part) + lines(stage) + (2+2*x.sides)*lines(query/2) +
		2*(1+x.sides)*scores + (1+2*x.sides)*lines(block/2) + x.sides*out)
	x.keysT, x.valuesT, x.keys = cutWords(&all, packed), cutWords(&all, packed), cutWords(&all, packed)
	x.sums, x.stage = cut(&all, 2*lines(part)), cut(&all, stage)
	x.queries, x.grads = cutWords(&all, x.sides*query), cutWords(&all, query)
	x.queriesT, x.gradsT = cutWords(&all, x.sides*query), cutWords(&all, query)
	x.scores = [2][]float32{cut(&all, (1+x.sides)*scores), cut(&all, (1+x.sides)*scores)}
	x.packed, x.out = cutWords(&all, (1+2*x.sides)*block), all
	return x
}

// storeTransposed copies one head's dK and dV to where they belong.
func (a *partsBackwardJob) storeTransposed(dk, dv []float32, pair int) {
	at, d := pair/a.KVHeads*a.SeqLen, a.HeadDim
	for j := 0; j < a.SeqLen; j += partsEdge {
		from, n := j*a.shape.headSteps*partsEdge, min(partsEdge, a.SeqLen-j)
		for _, x := range [...]struct {
			to    matrix
			panel []float32
		}{{a.dk, dk[from:]}, {a.dv, dv[from:]}} {
			packTransposed(a.set, x.to.data[(at+j)*x.to.stride+pair%a.KVHeads*d:], x.to.stride, x.panel, partsEdge, d, n)
		}
	}
}

// queryTile adds the rows from i0 on of one query head.
func (x *partsBackwardHead) queryTile(seq, head, i0 int) {
	x.begin(seq, head, i0)
	x.loadQueries()
	var last keyBlock
	for n, j0 := 0, x.lo; j0 < x.hi; n, j0 = n+1, j0+x.span {
		b := x.block(n, j0)
		x.scoreBlock(b, last)
		if n > 0 {
			x.addBlock(last)
		}
		x.grad(b)
		x.listBlock(b)
		last = b
	}
	x.packAlone(last)
	x.addBlock(last)
	x.storeQueries()
}

// addBlock adds a packed block to dQ, dR, dK and dV.
func (x *partsBackwardHead) addBlock(b keyBlock) {
	x.addRows(b, x.keys)
	for j := b.j0; j < b.j1; j += partsEdge {
		panel := (j - b.j0) / partsEdge
		x.addTransposed(x.dk, x.queriesT, x.packed[x.panels(panel):], x.sides, j)
		x.addTransposed(x.dv, x.gradsT, x.packed[x.weights(panel):], 1, j)
	}
}

// storeQueries copies the tile's dq, scaled, and dr to where they belong.
func (x *partsBackwardHead) storeQueries() {
	for i := x.i0; i < x.i1; i++ {
		at := x.seq*x.SeqLen + i
		for c := 0; c < x.HeadDim; c += partsEdge {
			n, out := min(partsEdge, x.HeadDim-c), x.outPanel(c/partsEdge)
			row := x.row(out, i, 0, partsEdge)[:n]
			x.set.combine(x.dq.head(at, x.head, x.HeadDim)[c:][:n], row, row, float32(x.Scale), 0)
			if x.sides == 2 {
				copy(x.dr.head(at, x.head, x.HeadDim)[c:][:n], x.row(out, i, 1, partsEdge))
			}
		}
	}
}

// loadQueries packs the tile's q (scaled), r and g, as they are and transposed, and computes
// tau = g.o and beta = g.vbar of each row.
func (x *partsBackwardHead) loadQueries() {
	x.loadQuery(x.queries, x.queriesT, x.q, 0, x.sides, float32(x.Scale))
	if x.sides == 2 {
		x.loadQuery(x.queries, x.queriesT, x.r, 1, x.sides, 1)
	}
	x.loadQuery(x.grads, x.gradsT, x.do, 0, 1, 1)
	for i := x.i0; i < x.i1; i++ {
		at := x.seq*x.SeqLen + i
		g := x.do.head(at, x.head, x.HeadDim)
		x.tau[i-x.i0] = x.set.dot(g, x.o.head(at, x.head, x.HeadDim))
		if x.sides == 2 {
			x.beta[i-x.i0] = x.set.dot(g, x.vbar.head(at, x.head, x.HeadDim))
		}
	}
}

// loadQuery packs the tile's rows of m, as they are and transposed, as one side of several.
func (x *partsBackwardHead) loadQuery(rows, across []uint16, m matrix, side, sides int, alpha float32) {
	x.packQueries(rows, m, side, sides, alpha, x.stage)
	for strip := range x.strips {
		i := x.i0 + strip*partsEdge
		x.h.e.packStrips(x.set, across[(strip*sides+side)*partsStep:], x.strips*sides*partsStep, x.rowsOf(m, i), m.stride, true,
			x.HeadDim, min(partsEdge, x.i1-i), alpha, x.stage)
	}
}

// slopes is where a of a strip starts in a block's scores.
func (x *partsBackwardHead) slopes(strip int) int {
	return (tileStrips*x.sides + strip) * partsEdge * x.stride
}

// scoreBlock computes s, t and a of the strips that see a block, and packs the block before
// it meanwhile.
func (x *partsBackwardHead) scoreBlock(b, before keyBlock) {
	x.scoreBy(before)
	for j := b.j0; j < b.j1; j += partsEdge {
		strip := x.firstStrip(j)
		x.scoreQueries(b, x.keysT, j)
		x.score(x.grads[strip*x.h.headSteps*partsStep:], x.valuesT, j, x.strips-strip, b.scores[x.slopes(strip)+j-b.j0:])
	}
	x.finishPacking()
}

// grad turns a block's s, t and a into ds, dt and w. Keys that a query does not see get 0.
func (x *partsBackwardHead) grad(b keyBlock) {
	for i, rows := x.i0+b.strip*partsEdge, 0; i < x.i1; i += rows {
		var from, to int
		rows, from, to = x.alike(b, i)
		for side := range x.sides {
			clearOutside(x.row(b.scores, i, side, x.stride)[:b.j1-b.j0], from, to)
		}
		clearOutside(b.scores[x.slopes(0)+(i-x.i0)*x.stride:][:b.j1-b.j0], from, to)
		x.gradRows(b, i, rows, from, to)
	}
}

// gradRows does so for some rows from query i on, and the keys [from, to) of the block.
func (x *partsBackwardHead) gradRows(b keyBlock, i, rows, from, to int) {
	s, weights := x.row(b.scores, i, 0, x.stride)[from:], b.scores[x.slopes(0)+(i-x.i0)*x.stride+from:]
	stat, row := x.stat(i), i-x.i0
	lse, tau := x.lse[stat:stat+rows], x.tau[row:]
	if x.sides == 1 {
		x.set.softmaxGrad(s, weights, x.stride, to-from, lse, tau)
		return
	}
	x.set.parallaxGrad(s, x.row(b.scores, i, 1, x.stride)[from:], weights, x.stride, to-from, lse, x.tbar[stat:], tau, x.beta[row:])
}

// panels is where a panel of ds and dt starts in a packed block, weights where one of w does.
func (x *partsBackwardHead) panels(panel int) int {
	return x.sides * (x.blockSize() + panel*tileStrips*partsStep)
}

func (x *partsBackwardHead) weights(panel int) int {
	return 2*x.sides*x.blockSize() + panel*tileStrips*partsStep
}

// listBlock lists the packing of a block. What is packed twice is listed twice in a row, so
// that it is read from L1.
func (x *partsBackwardHead) listBlock(b keyBlock) {
	x.w.units = x.w.units[:0]
	half, pair := partsEdge/2, partsEdge/2*x.stride
	for strip := b.strip; strip < x.strips; strip++ {
		for panel := range (b.j1 - b.j0) / partsEdge {
			for side := strip * x.sides; side < (strip+1)*x.sides; side++ {
				from := x.listSide(side, panel)
				x.list(x.panels(panel)+side*partsStep, from, half, pair)
			}
			x.list(x.weights(panel)+strip*partsStep, x.slopes(strip)+panel*partsEdge, half, pair)
		}
	}
}

// addTransposed adds to a panel of keys of dst the product of a transposed operand and a
// packed panel of scores, from the first strip of queries on that sees it.
func (x *partsBackwardHead) addTransposed(dst []float32, a, panel []uint16, sides, j int) {
	t, strip := &x.w.block, x.firstStrip(j)
	skip, size := strip*sides*partsStep, partsEdge*x.h.headSteps*partsEdge
	to := dst[j/partsEdge*size:]
	*t = partsBlock{a: a[skip:], aStrip: x.strips * sides * partsStep, b: panel[skip:], steps: (x.strips - strip) * sides,
		strips: x.h.headSteps, load: to, store: to, loadRow: partsEdge, storeRow: partsEdge, next: words(to[size:])}
	x.adder(t)
}

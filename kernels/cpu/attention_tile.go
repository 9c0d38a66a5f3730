package cpu

import "parallax/kernels"

// What attention and its gradients share on the matrix engine: what is packed of a head,
// and a tile of queries that goes through the keys block by block.
//
// What there is of q and of r, of s and of t and so on, are the sides of a strip. It lies strip
// by strip, so that the strips which see a key follow each other. While the engine
// computes the scores of a block, the block before is packed.

// tileQueries are the queries of a tile. What a tile takes, and a block of keys, stays in L2.
const (
	tileQueries = 4 * partsEdge
	tileStrips  = tileQueries / partsEdge
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

// partsTile is a tile of queries of one head at work.
type partsTile struct {
	h       *partsHeads
	w       *worker
	adder   func(t *partsBlock) // multiplies what was packed of a block
	sides   int
	span    int          // keys of a block, at most
	stride  int          // of score rows: they do not share cache sets
	queries []uint16     // [strip][side][step of HeadDim]
	scores  [2][]float32 // [strip][side][32][stride], and what there is beyond them, of a block and the next
	packed  []uint16     // of a block, first [strip][side][step of keys]
	out     []float32    // [panel of HeadDim][strip][side][32][32]

	seq, head      int
	i0, i1, strips int
	lo, hi         int // keys
}

func newPartsTile(h *partsHeads, w *worker, sides, keys int) partsTile {
	return partsTile{h: h, w: w, adder: h.e.multiply, sides: sides, span: keys, stride: keys + cacheLine/4}
}

// Sizes of a tile's scratch, for one side.
func (x *partsTile) querySize() int { return tileStrips * x.h.headSteps * partsStep }
func (x *partsTile) scoreSize() int { return tileQueries * x.stride }
func (x *partsTile) blockSize() int { return tileStrips * x.span / partsEdge * partsStep }
func (x *partsTile) outSize() int   { return tileQueries * x.h.headSteps * partsEdge }

// begin moves the tile to the queries from i0 on of one head of one sequence.
func (x *partsTile) begin(seq, head, i0 int) {
	x.seq, x.head, x.i0, x.i1 = seq, head, i0, min(i0+tileQueries, x.h.SeqLen)
	x.strips = ceilDiv(x.i1-i0, partsEdge)
	x.lo, x.hi = x.h.firstPanel(seq, i0), i0+x.strips*partsEdge
	x.w.units = x.w.units[:0]
	clear(x.out)
}

// keyBlock is a block of keys at work.
type keyBlock struct {
	j0, j1 int
	strip  int // the first that sees one of them
	scores []float32
}

// block is the tile's block n, from key j0 on.
func (x *partsTile) block(n, j0 int) keyBlock {
	return keyBlock{j0: j0, j1: min(j0+x.span, x.hi), strip: x.firstStrip(j0), scores: x.scores[n%2]}
}

// firstStrip is the first strip that sees key j, which is the first of a panel.
func (x *partsTile) firstStrip(j int) int { return max(0, j-x.i0) / partsEdge }

// visible is the part of a block that query i sees, from its first key on.
func (x *partsTile) visible(b keyBlock, i int) (from, to int) {
	n := b.j1 - b.j0
	from = min(max(x.h.firstKey(x.seq, i)-b.j0, 0), n)
	return from, max(min(i+1-b.j0, n), from)
}

// alike is how many rows from query i on see the same keys [from, to) of a block: those of
// its strip, where they see all, or one.
func (x *partsTile) alike(b keyBlock, i int) (rows, from, to int) {
	from, to = x.visible(b, i)
	last := min(i|(partsEdge-1), x.i1-1)
	if first, _ := x.visible(b, last); i%partsEdge == 0 && first == 0 && to == b.j1-b.j0 {
		return last + 1 - i, 0, to
	}
	return 1, from, to
}

// row is row i of a side, in rows that lie strip by strip.
func (x *partsTile) row(rows []float32, i, side, stride int) []float32 {
	strip, at := (i-x.i0)/partsEdge, (i-x.i0)%partsEdge
	return rows[((strip*x.sides+side)*partsEdge+at)*stride:]
}

// stat is where query i's statistics are.
func (x *partsTile) stat(i int) int { return (x.seq*x.h.QHeads+x.head)*x.h.SeqLen + i }

// rowsOf is where the tile's rows of m start, from query i on.
func (x *partsTile) rowsOf(m matrix, i int) []float32 {
	return m.data[(x.seq*x.h.SeqLen+i)*m.stride+x.head*x.h.HeadDim:]
}

// packQueries packs the tile's rows of m, times alpha, as one side of several.
func (x *partsTile) packQueries(dst []uint16, m matrix, side, sides int, alpha float32, stage []float32) {
	size := x.h.headSteps * partsStep
	x.h.e.packStrips(x.h.set, dst[side*size:], sides*size, x.rowsOf(m, x.i0), m.stride, false, x.i1-x.i0, x.h.HeadDim, alpha, stage)
}

// scoreBy prepares products of strips with panels of keys, during which what is listed of
// the block before is packed. Until finishPacking it is not packed as a whole.
func (x *partsTile) scoreBy(before keyBlock) {
	x.w.block = partsBlock{aStrip: x.h.headSteps * partsStep, steps: x.h.headSteps, storeRow: x.stride,
		units: x.w.units, packed: x.packed, source: before.scores, sourceStride: x.stride}
}

func (x *partsTile) finishPacking() { x.h.e.split(&x.w.block) }

// packAlone packs what is listed of a block.
func (x *partsTile) packAlone(b keyBlock) {
	x.scoreBy(b)
	x.finishPacking()
}

// score computes the score rows of strips, of what is packed in a, for the panel of keys
// that starts at key j.
func (x *partsTile) score(a, keys []uint16, j, strips int, to []float32) {
	t, size := &x.w.block, x.h.headSteps*partsStep
	t.a, t.b, t.next = a, keys[j/partsEdge*size:], keys[(j/partsEdge+1)*size:]
	t.strips, t.store = strips, to
	x.h.e.multiply(t)
	t.units = t.units[min(len(t.units), t.steps*strips):]
}

// scoreQueries computes the sides of the strips that see a panel of a block.
func (x *partsTile) scoreQueries(b keyBlock, keys []uint16, j int) {
	strip := x.firstStrip(j)
	at := strip * x.sides
	x.score(x.queries[at*x.h.headSteps*partsStep:], keys, j, (x.strips-strip)*x.sides, b.scores[at*partsEdge*x.stride+j-b.j0:])
}

// listSide lists the packing of a panel of a side as rows, to the start of x.packed, and returns
// where it starts in the scores.
func (x *partsTile) listSide(side, panel int) (from int) {
	from = side*partsEdge*x.stride + panel*partsEdge
	x.list((side*x.span/partsEdge+panel)*partsStep, from, partsEdge/2*x.stride, partsEdge/2)
	return from
}

// list lists a step of packing: two units, whose floats are half apart and in pairs pair
// apart.
func (x *partsTile) list(to, from, half, pair int) {
	x.w.units = append(x.w.units, splitUnit{to, from, pair}, splitUnit{to + partsStep/6, from + half, pair})
}

// addRows adds to out the product of a packed block's rows with what is packed down in
// x, keys or values.
func (x *partsTile) addRows(b keyBlock, down []uint16) {
	t, h := &x.w.block, x.h
	*t = partsBlock{a: x.packed[b.strip*x.sides*x.span/partsEdge*partsStep:], aStrip: x.span / partsEdge * partsStep,
		steps: (b.j1 - b.j0) / partsEdge, strips: x.sides * (x.strips - b.strip), loadRow: partsEdge, storeRow: partsEdge}
	for c := range h.headSteps {
		t.b = down[(c*h.keySteps+b.j0/partsEdge)*partsStep:]
		t.next = t.b[min(x.span/partsEdge*partsStep, len(t.b)):]
		t.store = x.outPanel(c)[b.strip*x.sides*partsEdge*partsEdge:]
		t.load = t.store
		x.adder(t)
	}
}

// outPanel is where panel c of out starts.
func (x *partsTile) outPanel(c int) []float32 {
	return x.out[c*tileStrips*x.sides*partsEdge*partsEdge:]
}

package cpu

import (
	"math"

	"parallax/kernels"
)

// Forward, for a tile of query rows of one head and all keys that one of them
// sees:
//
//	S = scale Q K^T, T = R K^T     score rows, kept whole, next to each other in L2
//	each row: p = softmax(S), tbar = sum p T, w = p (1 + tbar - T)
//	O = w V
//
// The row is whole, so its maximum and tbar are known before a weight is formed:
// there is no rescaling, and the weights are folded before the product with V.
// VBar = p V is a product of its own, for who asks for it.
// t is taken relative to its value at the row's last key, which changes nothing
// in exact arithmetic and keeps the digits of 1 + tbar - t where all t share an
// offset.

// Rows of queries per tile: as many as keep the score rows in scoreBytes, within
// these bounds, a multiple of every kernel set's mr.
const (
	minTileRows = 12
	maxTileRows = 48
	scoreBytes  = 1 << 20
)

// heads is an attention's shape and the packed keys and values that its tasks
// share, in [Batch, KVHeads] order.
type heads struct {
	kernels.AttentionShape
	set      *kernelSet
	docStart []int32
	keysT    []float32 // K^T in panels of nr keys: [panel][HeadDim][nr]
	values   []float32 // V: [SeqLen][HeadDim]
}

func newHeads(set *kernelSet, s kernels.AttentionShape) heads {
	return heads{AttentionShape: s, set: set, docStart: ints(s.DocStart)}
}

// panels is the number of key panels of one head.
func (h *heads) panels() int { return ceilDiv(h.SeqLen, h.set.nr) }

// panelFloats is the size of one head's panels.
func (h *heads) panelFloats() int { return h.panels() * h.set.nr * h.HeadDim }

// firstKey is the first key that query i of sequence seq sees.
func (h *heads) firstKey(seq, i int) int {
	first := 0
	if h.docStart != nil {
		first = int(h.docStart[seq*h.SeqLen+i])
	}
	if h.Window > 0 {
		first = max(first, i-h.Window+1)
	}
	return first
}

// keysOf is the span of keys that a tile's rows [i0, i1) touch, from a panel
// boundary on.
func (h *heads) keysOf(seq, i0, i1 int) (lo, hi int) {
	return h.firstKey(seq, i0) / h.set.nr * h.set.nr, i1
}

// maxSpan bounds keysOf for tiles of rows rows.
func (h *heads) maxSpan(rows int) int {
	span := h.SeqLen
	if h.Window > 0 {
		span = min(span, h.Window+rows+h.set.nr)
	}
	return span
}

// packKeys packs one head's K^T.
func (h *heads) packKeys(dst []float32, k matrix, seq, head int) {
	nr, d := h.set.nr, h.HeadDim
	for j := 0; j < h.SeqLen; j += nr {
		from := k.data[(seq*h.SeqLen+j)*k.stride+head*d:]
		packTransposed(h.set, dst[j*d:], nr, from, k.stride, min(nr, h.SeqLen-j), d)
	}
}

// packDense packs one head's rows without gaps.
func (h *heads) packDense(dst []float32, v matrix, seq, head int) {
	d := h.HeadDim
	packRows(dst, d, v.data[seq*h.SeqLen*v.stride+head*d:], v.stride, h.SeqLen, d)
}

// scores computes dst[i] = alpha * (row i of a) . (key j) for the rows [i0, i1)
// and keys [lo, hi), for each block of mr rows up to its last row: dst(i, j) is
// at dst[(i-i0)*ld + j-lo]. a(i, .) is at a[(i-i0)*aRow].
func (h *heads) scores(t *tile, dst []float32, ld int, a []float32, aRow int, keysT []float32, alpha float32, i0, i1, lo, hi int) {
	set, d := h.set, h.HeadDim
	*t = tile{aRow: aRow, aCol: 1, bRow: set.nr, cRow: ld, k: d, alpha: alpha}
	for j := lo; j < hi; j += set.nr {
		t.b, t.n = keysT[j*d:], min(set.nr, hi-j)
		for i := firstBlock(i0, j, set.mr); i < i1; i += set.mr {
			t.m = min(set.mr, i1-i)
			t.a, t.c = a[(i-i0)*aRow:], dst[(i-i0)*ld+j-lo:]
			set.tile(t)
		}
	}
}

// product is dst rows [i0, i1) of a head = alpha times the rows of weights times x:
// row j of x is that of key j, and weights(i, j) is at weights[(i-i0)*ld + j-lo].
func (h *heads) product(t *tile, dst matrix, alpha float32, weights []float32, ld int, x []float32, seq, head, i0, i1, lo int) {
	set, d := h.set, h.HeadDim
	*t = tile{aRow: ld, aCol: 1, bRow: d, cRow: dst.stride, alpha: alpha}
	for i := i0; i < i1; i += set.mr {
		t.m = min(set.mr, i1-i)
		from := h.firstKey(seq, i)
		t.k = i + t.m - from
		t.a = weights[(i-i0)*ld+from-lo:]
		for c := 0; c < d; c += set.nr {
			t.n = min(set.nr, d-c)
			t.b = x[from*d+c:]
			t.c = dst.data[(seq*h.SeqLen+i)*dst.stride+head*d+c:]
			set.tile(t)
		}
	}
}

// firstBlock is the first row, in steps of mr from i0, of a block that has a row
// i >= j: blocks before it see nothing of the keys from j on.
func firstBlock(i0, j, mr int) int { return i0 + max(0, j-i0)/mr*mr }

type attentionJob struct {
	heads
	q, r, k, v matrix
	o, vbar    matrix
	lse, tbar  []float32
	tileRows   int
	tiles      int // per head
	packing    bool
}

// Attention computes Parallax attention, or softmax attention without R.
func (b *Backend) Attention(op kernels.Attention) {
	kernels.Must(op.Check())
	a := &b.attention
	*a = attentionJob{heads: newHeads(b.kernels, op.AttentionShape),
		q: view(op.Q), r: view(op.R), k: view(op.K), v: view(op.V), o: view(op.O), lse: floats(op.LSE)}
	if !a.r.empty() {
		a.vbar, a.tbar = view(op.VBar), floats(op.TBar)
	}
	pairs := op.Batch * op.KVHeads
	if b.attendsInParts(op.AttentionShape) {
		b.partsAttention(pairs)
		return
	}
	a.tileRows = tileRows(a.maxSpan(maxTileRows))
	a.tiles = ceilDiv(op.SeqLen, a.tileRows)
	shared := b.shared.take(pairs * (a.panelFloats() + lines(op.SeqLen*op.HeadDim)))
	a.keysT = cut(&shared, pairs*a.panelFloats())
	a.values = shared
	a.packing = true
	b.pool.run(pairs, a)
	a.packing = false
	b.pool.run(op.Batch*op.QHeads*a.tiles, a)
}

// NeedsVBar is true on the matrix engine, where a row's gradients begin before all of
// its keys are seen.
func (b *Backend) NeedsVBar(s kernels.AttentionShape) bool { return b.attendsInParts(s) }

// attendsInParts says whether attention of a shape is for the matrix engine.
func (b *Backend) attendsInParts(s kernels.AttentionShape) bool {
	return b.kernels.engine != nil && partsPayFor(s)
}

// tileRows is the number of query rows whose two score rows of span keys fit in
// scoreBytes.
func tileRows(span int) int {
	rows := scoreBytes / 8 / span / minTileRows * minTileRows
	return min(max(rows, minTileRows), maxTileRows)
}

func (a *attentionJob) run(w *worker, task int) {
	if a.packing {
		seq, head := task/a.KVHeads, task%a.KVHeads
		a.packKeys(a.keysOfHead(task), a.k, seq, head)
		a.packDense(a.valuesOfHead(task), a.v, seq, head)
		return
	}
	// The last tiles see the most keys: they come first.
	pair, at := task%(a.Batch*a.QHeads), a.tiles-1-task/(a.Batch*a.QHeads)
	a.tile(w, pair/a.QHeads, pair%a.QHeads, at*a.tileRows)
}

func (a *attentionJob) keysOfHead(pair int) []float32 {
	return a.keysT[pair*a.panelFloats():][:a.panelFloats()]
}

func (a *attentionJob) valuesOfHead(pair int) []float32 {
	n := a.SeqLen * a.HeadDim
	return a.values[pair*lines(n):][:n]
}

// tile computes rows [i0, i0+tileRows) of one head of one sequence.
func (a *attentionJob) tile(w *worker, seq, head, i0 int) {
	i1 := min(i0+a.tileRows, a.SeqLen)
	lo, hi := a.keysOf(seq, i0, i1)
	ld := lines(hi-lo) + cacheLine/4
	pair := seq*a.KVHeads + head/(a.QHeads/a.KVHeads)
	scratch := w.scratch.take(2 * a.tileRows * ld)
	s, t := scratch[:a.tileRows*ld], scratch[a.tileRows*ld:]

	at := (seq*a.SeqLen + i0)
	a.scores(&w.tile, s, ld, a.q.data[at*a.q.stride+head*a.HeadDim:], a.q.stride, a.keysOfHead(pair), float32(a.Scale), i0, i1, lo, hi)
	if !a.r.empty() {
		a.scores(&w.tile, t, ld, a.r.data[at*a.r.stride+head*a.HeadDim:], a.r.stride, a.keysOfHead(pair), 1, i0, i1, lo, hi)
	}
	for i := i0; i < i1; i++ {
		a.weights(s[(i-i0)*ld:], t[(i-i0)*ld:], seq, head, i, lo, blockEnd(i, i0, i1, a.set.mr))
	}
	a.product(&w.tile, a.o, 1, s, ld, a.valuesOfHead(pair), seq, head, i0, i1, lo)
	if !a.vbar.empty() {
		a.product(&w.tile, a.vbar, 1, t, ld, a.valuesOfHead(pair), seq, head, i0, i1, lo)
	}
}

// weights turns row i's scores into w (in s) and p (in t), or p (in s) without
// R. Keys of [lo, end), which its block multiplies, that the row does not see get
// weight 0.
func (a *attentionJob) weights(s, t []float32, seq, head, i, lo, end int) {
	from, to := a.firstKey(seq, i)-lo, i+1-lo
	end -= lo
	stat := (seq*a.QHeads+head)*a.SeqLen + i
	clear(s[:from])
	clear(s[to:end])
	if a.r.empty() {
		m, sum := a.set.softmax(s[from:to])
		a.lse[stat] = m + log32(sum)
		return
	}
	clear(t[:from])
	clear(t[to:end])
	shift := t[to-1]
	m, sum, tbar := a.set.parallaxWeights(s[from:to], t[from:to], shift)
	a.lse[stat], a.tbar[stat] = m+log32(sum), tbar+shift
}

// blockEnd is the end of the block of mr rows that row i is in.
func blockEnd(i, i0, i1, mr int) int { return min(i0+(i-i0)/mr*mr+mr, i1) }

func log32(x float32) float32 { return float32(math.Log(float64(x))) }

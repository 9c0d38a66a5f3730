package cpu

import (
	"math"

	"parallax/kernels"
)

// The head works on a chunk of rows of X at a time and keeps the chunk's logits
// transposed, Z^T = W X^T: a row of Z^T is one word of the vocabulary. So all
// three products read W, X and Z as they lie,
//
//	Z^T = W X^T        DW += G^T X        DX = G W        G = Scale (softmax(Z) - onehot)
//
// and the softmax runs down columns, one lane per row of X. The vocabulary is
// cut into blocks; maxima and sums of blocks are combined in order. DX, a sum
// over the vocabulary, is summed in headGroups parts, then the parts in order.
const (
	logitBytes = 64 << 20 // of Z^T, about
	headRows   = 512      // most rows of X in a chunk
	headWords  = 96       // words of the vocabulary in a block
	headGroups = 16       // parts of DX
)

type headLossJob struct {
	set     *kernelSet
	x, w    matrix
	dx, dw  matrix
	targets []int32
	loss    []float32
	scale   float32

	phase  headPhase
	n0, n1 int // rows of the chunk
	ld     int // of Z^T and everything else that has a column per row of X
	blocks int
	xT     []float32 // X^T in panels of nr rows of X: [panel][d][nr]
	xCols  []float32 // X in panels of nr columns: [panel][ld][nr]
	z      []float32 // [vocabulary][ld], only when there are gradients
	maxima []float32 // [blocks][ld]
	sums   []float32 // [blocks][ld]: sum exp(z - maximum)
	target []float32 // [ld]: the target's logit
	lse    []float32 // [ld]: +Inf for an ignored row, whose gradient is then 0
	parts  []float32 // [headGroups][ld][d]: DX
	engine partsHead
}

type headPhase int

const (
	headPack headPhase = iota
	headLogits
	headGradients
	headSum
)

// HeadLoss is the output head, the cross-entropy, and their gradients.
func (b *Backend) HeadLoss(op kernels.HeadLoss) {
	kernels.Must(op.Check())
	j := &b.headLoss
	*j = headLossJob{set: b.kernels, x: view(op.X), w: view(op.W), dx: view(op.DX), dw: view(op.DW),
		targets: ints(op.Targets), loss: floats(op.Loss), scale: float32(op.Scale)}
	j.blocks = ceilDiv(j.w.rows, headWords)
	chunk := headChunk(j.w.rows, j.set.nr)
	for j.n0 = 0; j.n0 < j.x.rows; j.n0 = j.n1 {
		j.n1 = min(j.n0+chunk, j.x.rows)
		j.layOut(b)
		b.headChunk(j)
	}
}

// headChunk is the number of rows whose logits fit in logitBytes, a multiple of
// nr.
func headChunk(words, nr int) int {
	rows := logitBytes / 4 / max(1, words) / nr * nr
	return min(max(rows, nr), headRows)
}

// layOut cuts the shared scratch for the chunk [n0, n1).
func (j *headLossJob) layOut(b *Backend) {
	d, rows := j.x.cols, j.n1-j.n0
	j.ld = ceilDiv(rows, j.set.nr) * j.set.nr
	zSize, colsSize, partSize := 0, 0, 0
	rowsSize, packed := j.ld*d, 0
	if j.gradients() {
		zSize, partSize = ceilDiv(j.w.rows, partsEdge)*partsEdge*j.ld, headGroups*j.ld*d
		colsSize = ceilDiv(d, j.set.nr) * j.set.nr * j.ld
	}
	if j.onEngine() {
		rowsSize, colsSize, packed = 0, 0, j.packedX()
	}
	all := b.shared.take(lines(rowsSize) + lines(colsSize) + packed + lines(zSize) + lines(partSize) + 2*lines(j.blocks*j.ld) + 2*lines(j.ld))
	j.xT, j.xCols = cut(&all, rowsSize), cut(&all, colsSize)
	j.engine.across, j.engine.down = cutWords(&all, packed), cutWords(&all, packed)
	j.z, j.parts = cut(&all, zSize), cut(&all, partSize)
	j.maxima, j.sums = cut(&all, j.blocks*j.ld), cut(&all, j.blocks*j.ld)
	j.target, j.lse = cut(&all, j.ld), cut(&all, j.ld)
}

func (j *headLossJob) gradients() bool { return !j.dx.empty() }

func (b *Backend) headChunk(j *headLossJob) {
	j.phase = headPack
	b.pool.run(j.ld/j.set.nr, j)
	j.phase = headLogits
	b.pool.run(j.blocks, j)
	j.finishLoss()
	if !j.gradients() {
		return
	}
	j.phase = headGradients
	b.pool.run(headGroups, j)
	j.phase = headSum
	b.pool.run(j.n1-j.n0, j)
}

func (j *headLossJob) run(w *worker, task int) {
	switch j.phase {
	case headPack:
		j.pack(w, task)
	case headLogits:
		j.logits(w, task)
	case headGradients:
		for block := task * j.blocks / headGroups; block < (task+1)*j.blocks/headGroups; block++ {
			j.blockGradients(w, task, block)
		}
	case headSum:
		j.sumParts(task)
	}
}

// pack copies nr rows of X, transposed and not. The columns of rows past the chunk stay what
// they are; nothing reads them.
func (j *headLossJob) pack(w *worker, panel int) {
	if j.onEngine() {
		j.packParts(w, panel)
		return
	}
	nr, d := j.set.nr, j.x.cols
	n := j.n0 + panel*nr
	from, rows := j.x.data[n*j.x.stride:], min(nr, j.n1-n)
	packTransposed(j.set, j.xT[panel*nr*d:], nr, from, j.x.stride, rows, d)
	if j.gradients() {
		packPanels(j.set, j.xCols[panel*nr*nr:], j.ld*nr, from, j.x.stride, rows, d)
	}
}

// words is a block's range of the vocabulary.
func (j *headLossJob) words(block int) (lo, hi int) {
	return block * headWords, min((block+1)*headWords, j.w.rows)
}

// logits computes one block of Z^T and its maxima and sums.
func (j *headLossJob) logits(w *worker, block int) {
	lo, hi := j.words(block)
	own, s := headWords*j.ld, wordsScratch{}
	if j.gradients() {
		own = 0
	}
	if j.onEngine() {
		s = j.wordsScratch(w, own)
	} else {
		s.rest = w.scratch.take(own)
	}
	z := s.rest
	if j.gradients() {
		z = j.z[lo*j.ld:]
	}
	if j.onEngine() {
		j.partsLogits(w, s, z, lo, hi)
	} else {
		j.tileLogits(w, z, lo, hi)
	}
	j.columnStats(z, block, lo, hi)
}

// tileLogits computes the words [lo, hi) of Z^T.
func (j *headLossJob) tileLogits(w *worker, z []float32, lo, hi int) {
	set, d, rows, t := j.set, j.x.cols, j.n1-j.n0, &w.tile
	*t = tile{aRow: j.w.stride, aCol: 1, bRow: set.nr, cRow: j.ld, k: d, alpha: 1}
	for n := 0; n < rows; n += set.nr {
		t.b, t.n = j.xT[n*d:], min(set.nr, rows-n)
		for v := lo; v < hi; v += set.mr {
			t.m = min(set.mr, hi-v)
			t.a, t.c = j.w.data[v*t.aRow:], z[(v-lo)*j.ld+n:]
			set.tile(t)
		}
	}
}

// columnStats writes the block's maximum and sum of exponentials of each column,
// and the logits of the targets that it holds.
func (j *headLossJob) columnStats(z []float32, block, lo, hi int) {
	rows := j.n1 - j.n0
	m, sum := j.maxima[block*j.ld:][:rows], j.sums[block*j.ld:][:rows]
	copy(m, z)
	for v := range hi - lo {
		j.set.maxInto(m, z[v*j.ld:][:rows])
	}
	clear(sum)
	for v := range hi - lo {
		j.set.addExp(sum, z[v*j.ld:][:rows], m)
	}
	for n, target := range j.targets[j.n0:j.n1] {
		if v := int(target); lo <= v && v < hi {
			j.target[n] = z[(v-lo)*j.ld+n]
		}
	}
}

// finishLoss combines the blocks of each column into its loss.
func (j *headLossJob) finishLoss() {
	for n := range j.n1 - j.n0 {
		if j.targets[j.n0+n] < 0 {
			j.lse[n], j.loss[j.n0+n] = float32(math.Inf(1)), 0
			continue
		}
		m := j.maxima[n]
		for block := range j.blocks {
			m = max(m, j.maxima[block*j.ld+n])
		}
		var sum float64
		for block := range j.blocks {
			at := block*j.ld + n
			sum += float64(j.sums[at]) * math.Exp(float64(j.maxima[at]-m))
		}
		lse := float64(m) + math.Log(sum)
		j.lse[n], j.loss[j.n0+n] = float32(lse), float32(lse-float64(j.target[n]))
	}
}

// blockGradients turns one block of Z^T into G^T, adds its part of DW and adds
// to the group's part of DX.
func (j *headLossJob) blockGradients(w *worker, group, block int) {
	lo, hi := j.words(block)
	rows := j.n1 - j.n0
	for v := lo; v < hi; v++ {
		j.set.scaledExp(j.z[v*j.ld:][:rows], j.lse[:rows], j.scale)
	}
	for n, target := range j.targets[j.n0:j.n1] {
		if v := int(target); lo <= v && v < hi {
			j.z[v*j.ld+n] -= j.scale
		}
	}
	part, first := j.parts[group*j.ld*j.x.cols:], block == group*j.blocks/headGroups
	if j.onEngine() {
		s := j.wordsScratch(w, 0)
		j.partsWeightGradient(w, s, lo, hi)
		j.partsInputGradient(w, s, part, lo, hi, first)
		return
	}
	j.weightGradient(w, lo, hi)
	j.inputGradient(w, part, lo, hi, first)
}

// weightGradient is DW[lo:hi] += G^T X.
func (j *headLossJob) weightGradient(w *worker, lo, hi int) {
	set, d, t := j.set, j.x.cols, &w.tile
	*t = tile{aRow: j.ld, aCol: 1, bRow: set.nr, cRow: j.dw.stride, addRow: j.dw.stride, k: j.n1 - j.n0, alpha: 1, beta: 1}
	for c := 0; c < d; c += set.nr {
		t.b, t.n = j.xCols[c*j.ld:], min(set.nr, d-c)
		for v := lo; v < hi; v += set.mr {
			t.m = min(set.mr, hi-v)
			t.a, t.c = j.z[v*j.ld:], j.dw.data[v*j.dw.stride+c:]
			t.add = t.c
			set.tile(t)
		}
	}
}

// inputGradient adds G W, over the words [lo, hi), to the group's part of DX, or
// starts it.
func (j *headLossJob) inputGradient(w *worker, part []float32, lo, hi int, first bool) {
	set, d, rows, t := j.set, j.x.cols, j.n1-j.n0, &w.tile
	panels := w.scratch.take((hi - lo) * ceilDiv(d, set.nr) * set.nr)
	packPanels(set, panels, (hi-lo)*set.nr, j.w.data[lo*j.w.stride:], j.w.stride, hi-lo, d)
	*t = tile{aRow: 1, aCol: j.ld, bRow: set.nr, cRow: d, addRow: d, k: hi - lo, alpha: 1}
	if !first {
		t.beta = 1
	}
	for c := 0; c < d; c += set.nr {
		t.b, t.n = panels[c*(hi-lo):], min(set.nr, d-c)
		for n := 0; n < rows; n += set.mr {
			t.m = min(set.mr, rows-n)
			t.a, t.c = j.z[lo*j.ld+n:], part[n*d+c:]
			t.add = t.c
			set.tile(t)
		}
	}
}

// sumParts adds up the parts of one row of DX.
func (j *headLossJob) sumParts(n int) {
	d := j.x.cols
	dx := j.dx.row(j.n0 + n)
	clear(dx)
	for group := range headGroups {
		if group*j.blocks/headGroups == (group+1)*j.blocks/headGroups {
			continue // a small vocabulary leaves groups without a block
		}
		j.set.addTo(dx, j.parts[(group*j.ld+n)*d:][:d])
	}
}

// maxIntoPortable is m = max(m, z), element by element.
func maxIntoPortable(m, z []float32) {
	z = z[:len(m)]
	for i, x := range z {
		m[i] = max(m[i], x)
	}
}

// addExpPortable is sum += exp(z - m), element by element.
func addExpPortable(sum, z, m []float32) {
	z, m = z[:len(sum)], m[:len(sum)]
	for i, x := range z {
		sum[i] += exp32(x - m[i])
	}
}

// scaledExpPortable is z = scale exp(z - lse), element by element.
func scaledExpPortable(z, lse []float32, scale float32) {
	lse = lse[:len(z)]
	for i, x := range z {
		z[i] = scale * exp32(x-lse[i])
	}
}

package cpu

// The head's three products on the matrix engine. X is packed once for a chunk, W and
// the logits for each block of words.

// partsHead is what the engine needs beside headLossJob's own.
type partsHead struct {
	across []uint16 // X^T: [panel of rows][step of d]
	down   []uint16 // X: [panel of d][step of rows]
}

// onEngine says whether the products run on the engine. It depends on shapes alone.
func (j *headLossJob) onEngine() bool { return j.set.engine != nil && j.x.cols >= partsEdge/2 }

// packedX is the size of a chunk's packed rows, in bfloat16s.
func (j *headLossJob) packedX() int { return stepsOf(j.x.cols) * stepsOf(j.ld) * partsStep }

// wordsScratch is what packing one block takes of a worker's scratch: strips of W or
// of logits, panels of W, and blocks on the edge.
type wordsScratch struct {
	strips, panels []uint16
	stage, corner  []float32
	rest           []float32
}

func (j *headLossJob) wordsScratch(w *worker, rest int) (s wordsScratch) {
	d, rows, blockSteps := stepsOf(j.x.cols), stepsOf(j.ld), stepsOf(headWords)
	strips, panels := blockSteps*max(d, rows)*partsStep, d*blockSteps*partsStep
	stage := stageFloats(max(j.x.cols, j.ld, headWords))
	all := w.scratch.take(lines(strips/2) + lines(panels/2) + lines(stage) + partsEdge*partsEdge + lines(rest))
	s.strips, s.panels = cutWords(&all, strips), cutWords(&all, panels)
	s.stage, s.corner = cut(&all, stage), cut(&all, partsEdge*partsEdge)
	s.rest = all
	return s
}

// packParts packs a panel of rows of X, transposed and not.
func (j *headLossJob) packParts(w *worker, panel int) {
	e, d := j.set.engine, j.x.cols
	n := j.n0 + panel*partsEdge
	from, rows := j.x.data[n*j.x.stride:], min(partsEdge, j.n1-n)
	stage := w.scratch.take(stageFloats(partsEdge))
	e.packPanelTransposed(j.set, j.engine.across[panel*stepsOf(d)*partsStep:], from, j.x.stride, d, rows, stage)
	if j.gradients() {
		e.packPanels(j.engine.down[panel*partsStep:], stepsOf(j.ld)*partsStep, from, j.x.stride, rows, d, stage)
	}
}

// partsLogits computes the words [lo, hi) of Z^T.
func (j *headLossJob) partsLogits(w *worker, s wordsScratch, z []float32, lo, hi int) {
	e, d := j.set.engine, j.x.cols
	e.packStrips(j.set, s.strips, stepsOf(d)*partsStep, j.w.data[lo*j.w.stride:], j.w.stride, false, hi-lo, d, 1, s.stage)
	x := j.block(w, s, matrix{data: z, rows: hi - lo, cols: j.ld, stride: j.ld}, stepsOf(d))
	for n := 0; n < j.n1-j.n0; n += partsEdge {
		x.t.b = j.engine.across[n/partsEdge*stepsOf(d)*partsStep:]
		x.panel(n, partsEdge)
	}
}

// partsWeightGradient is DW[lo:hi] += G^T X.
func (j *headLossJob) partsWeightGradient(w *worker, s wordsScratch, lo, hi int) {
	e, rows := j.set.engine, j.n1-j.n0
	e.packStrips(j.set, s.strips, stepsOf(rows)*partsStep, j.z[lo*j.ld:], j.ld, false, hi-lo, rows, 1, s.stage)
	dw := matrix{data: j.dw.data[lo*j.dw.stride:], rows: hi - lo, cols: j.dw.cols, stride: j.dw.stride}
	x := j.block(w, s, dw, stepsOf(rows))
	x.beta, x.add = 1, dw
	for c := 0; c < dw.cols; c += partsEdge {
		x.t.b = j.engine.down[c/partsEdge*stepsOf(j.ld)*partsStep:]
		x.panel(c, min(partsEdge, dw.cols-c))
	}
}

// partsInputGradient adds G W, over the words [lo, hi), to a part of DX, or starts it.
func (j *headLossJob) partsInputGradient(w *worker, s wordsScratch, part []float32, lo, hi int, first bool) {
	e, d, rows, steps := j.set.engine, j.x.cols, j.n1-j.n0, stepsOf(hi-lo)
	for v := lo; v < hi; v += partsEdge {
		e.packPanels(s.panels[(v-lo)/partsEdge*partsStep:], steps*partsStep, j.w.data[v*j.w.stride:], j.w.stride, min(partsEdge, hi-v), d, s.stage)
	}
	e.packStrips(j.set, s.strips, steps*partsStep, j.z[lo*j.ld:], j.ld, true, rows, hi-lo, 1, s.stage)
	x := j.block(w, s, matrix{data: part, rows: rows, cols: d, stride: d}, steps)
	if !first {
		x.beta, x.add = 1, x.c
	}
	for c := 0; c < d; c += partsEdge {
		x.t.b = s.panels[c/partsEdge*steps*partsStep:]
		x.panel(c, min(partsEdge, d-c))
	}
}

// block is the product of the packed strips and panels yet to be named, to c.
func (j *headLossJob) block(w *worker, s wordsScratch, c matrix, steps int) blockOf {
	w.block = partsBlock{aStrip: steps * partsStep, steps: steps}
	return blockOf{e: j.set.engine, t: &w.block, a: s.strips, i1: c.rows, c: c, corner: s.corner}
}

package ref

import (
	"fmt"
	"math"

	"parallax/kernels"
)

// attention is what forward and backward read and save, resolved.
type attention struct {
	kernels.AttentionShape
	docStart []int32
	q, r     mat
	k, v     mat
	o, vbar  mat
	lse      vec
	tbar     vec
}

// query is one query of one head. Its keys are the rows [first, row] of K and V.
type query struct {
	head, keyHead int
	row, first    int
	stat          int // index in LSE and TBar
}

// Attention is the textbook: all scores of a query, their softmax, then the sums.
func (b *Backend) Attention(op kernels.Attention) {
	kernels.Must(op.Check())
	a := b.attention(op.AttentionShape, op.Q, op.R, op.K, op.V, op.O, op.VBar, op.LSE, op.TBar)
	b.enqueue(func() error { return a.eachQuery(a.forward) })
}

// attention leaves R, VBar and TBar out for softmax attention.
func (b *Backend) attention(shape kernels.AttentionShape, q, r, k, v, o, vbar kernels.Matrix, lse, tbar kernels.Buffer) *attention {
	a := &attention{
		AttentionShape: shape,
		docStart:       b.ints(shape.DocStart),
		q:              b.mat(q),
		k:              b.mat(k), v: b.mat(v),
		o:   b.mat(o),
		lse: b.vec(lse),
	}
	if !r.Empty() {
		a.r, a.vbar, a.tbar = b.mat(r), b.mat(vbar), b.vec(tbar)
	}
	return a
}

func (a *attention) eachQuery(visit func(query)) error {
	for seq := range a.Batch {
		for head := range a.QHeads {
			for t := range a.SeqLen {
				first, err := a.firstKey(seq, t)
				if err != nil {
					return err
				}
				visit(query{
					head:    head,
					keyHead: head / (a.QHeads / a.KVHeads),
					row:     seq*a.SeqLen + t,
					first:   seq*a.SeqLen + first,
					stat:    (seq*a.QHeads+head)*a.SeqLen + t,
				})
			}
		}
	}
	return nil
}

// firstKey is the position of the first key that position t of a sequence sees.
func (a *attention) firstKey(seq, t int) (int, error) {
	first := 0
	if a.docStart != nil {
		first = int(a.docStart[seq*a.SeqLen+t])
		if first < 0 || first > t {
			return 0, fmt.Errorf("ref: attention: DocStart says that position %d of sequence %d is in a document that starts at %d", t, seq, first)
		}
	}
	if a.Window > 0 {
		first = max(first, t-a.Window+1)
	}
	return first, nil
}

// vector is one head's part of a row.
func (a *attention) vector(m mat, row, head int) vec {
	return m.part(row, head*a.HeadDim, (head+1)*a.HeadDim)
}

// forward computes one query's output and statistics.
func (a *attention) forward(qu query) {
	s, t := a.scores(qu)
	lse := logSumExp(s)
	a.lse.set(qu.stat, lse)
	p := make([]float64, len(s))
	tbar := 0.0
	for i := range s {
		p[i] = math.Exp(s[i] - lse)
		tbar += p[i] * t[i]
	}
	w := make([]float64, len(s))
	for i := range s {
		w[i] = p[i] * (1 + tbar - t[i])
	}
	a.weightedValues(a.o, qu, w)
	if !a.r.empty() {
		a.tbar.set(qu.stat, tbar)
		if !a.vbar.empty() {
			a.weightedValues(a.vbar, qu, p)
		}
	}
}

// scores returns s_ij and t_ij for each key of a query; t is 0 without R.
func (a *attention) scores(qu query) (s, t []float64) {
	n := qu.row - qu.first + 1
	s, t = make([]float64, n), make([]float64, n)
	q := a.vector(a.q, qu.row, qu.head).x
	for i := range n {
		k := a.vector(a.k, qu.first+i, qu.keyHead).x
		s[i] = a.Scale * dot(q, k)
		if !a.r.empty() {
			t[i] = dot(a.vector(a.r, qu.row, qu.head).x, k)
		}
	}
	return s, t
}

// weightedValues writes sum_j w_j v_j.
func (a *attention) weightedValues(dst mat, qu query, w []float64) {
	sum := make([]float64, a.HeadDim)
	for i := range w {
		addScaled(sum, w[i], a.vector(a.v, qu.first+i, qu.keyHead).x)
	}
	store(a.vector(dst, qu.row, qu.head), sum)
}

// AttentionBackward takes p from the saved L, and tau, beta and tbar from what
// forward saved.
func (b *Backend) AttentionBackward(op kernels.AttentionBackward) {
	kernels.Must(op.Check())
	kernels.Must(op.CheckVBar())
	a := b.attention(op.AttentionShape, op.Q, op.R, op.K, op.V, op.O, op.VBar, op.LSE, op.TBar)
	g := &attentionGradient{attention: a, do: b.mat(op.DO), dq: b.mat(op.DQ), dk: b.mat(op.DK), dv: b.mat(op.DV)}
	if !a.r.empty() {
		g.dr = b.mat(op.DR)
	}
	b.enqueue(g.run)
}

// NeedsVBar is true: beta is taken from what forward saved.
func (b *Backend) NeedsVBar(kernels.AttentionShape) bool { return true }

type attentionGradient struct {
	*attention
	do, dq, dr, dk, dv mat
	// dk and dv before they are rounded, per row and key head.
	dkSum, dvSum mat
}

func (g *attentionGradient) run() error {
	rows, cols := g.Batch*g.SeqLen, g.KVHeads*g.HeadDim
	g.dkSum, g.dvSum = newMat(rows, cols), newMat(rows, cols)
	if err := g.eachQuery(g.backward); err != nil {
		return err
	}
	for row := range rows {
		store(g.dk.row(row), g.dkSum.row(row).x)
		store(g.dv.row(row), g.dvSum.row(row).x)
	}
	return nil
}

// backward computes one query's dq and dr, and adds its share to dk and dv.
func (g *attentionGradient) backward(qu query) {
	var r []float64
	grad := g.vector(g.do, qu.row, qu.head).x
	q, o := g.vector(g.q, qu.row, qu.head).x, g.vector(g.o, qu.row, qu.head).x
	vbar, tbar := o, 0.0
	if !g.r.empty() {
		r = g.vector(g.r, qu.row, qu.head).x
		vbar, tbar = g.vector(g.vbar, qu.row, qu.head).x, g.tbar.x[qu.stat]
	}
	s, t := g.scores(qu)
	tau, beta := dot(grad, o), dot(grad, vbar)
	dq, dr := make([]float64, g.HeadDim), make([]float64, g.HeadDim)
	for i := range s {
		j := qu.first + i
		k, v := g.vector(g.k, j, qu.keyHead).x, g.vector(g.v, j, qu.keyHead).x
		dk, dv := g.vector(g.dkSum, j, qu.keyHead).x, g.vector(g.dvSum, j, qu.keyHead).x
		p := math.Exp(s[i] - g.lse.x[qu.stat])
		a := dot(grad, v)
		delta := a - beta
		ds := p * (a - tau + (tbar-t[i])*delta)
		addScaled(dq, g.Scale*ds, k)
		addScaled(dk, g.Scale*ds, q)
		addScaled(dv, p*(1+tbar-t[i]), grad)
		if r != nil {
			addScaled(dr, -p*delta, k)
			addScaled(dk, -p*delta, r)
		}
	}
	store(g.vector(g.dq, qu.row, qu.head), dq)
	if r != nil {
		store(g.vector(g.dr, qu.row, qu.head), dr)
	}
}

func newMat(rows, cols int) mat {
	return mat{vec{make([]float64, rows*cols), kernels.F64}, rows, cols, cols}
}

// addScaled is y += c x.
func addScaled(y []float64, c float64, x []float64) {
	for i := range x {
		y[i] += c * x[i]
	}
}

func store(dst vec, src []float64) {
	for i, x := range src {
		dst.set(i, x)
	}
}

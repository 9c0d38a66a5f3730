package kerneltest

import (
	"fmt"
	"math"

	"parallax/kernels"
)

// attention is one attention problem, forward and backward.
type attention struct {
	batch, seqLen, qHeads, kvHeads, headDim int
	window                                  int
	documents                               bool // random ones, some of length 1
	softmax                                 bool
	packed                                  bool    // q, r, k and v are columns of one matrix, and so are their gradients
	qk, r                                   float64 // standard deviations, 0 is 1; scores have qk^2
	keyMean                                 float64 // a common part of all keys, which cancels
	slack                                   float64
	large                                   bool
	layouts                                 []layout
}

func (a attention) String() string {
	s := fmt.Sprintf("attention B%d T%d H%d/%d D%d", a.batch, a.seqLen, a.qHeads, a.kvHeads, a.headDim)
	for _, part := range []struct {
		set  bool
		text string
	}{
		{a.window > 0, fmt.Sprint(" window ", a.window)},
		{a.documents, " documents"},
		{a.softmax, " softmax"},
		{a.packed, " packed"},
		{a.qk != 0, fmt.Sprint(" q,k x", a.qk)},
		{a.r != 0, fmt.Sprint(" r x", a.r)},
		{a.keyMean != 0, fmt.Sprint(" k about ", a.keyMean)},
		{a.layouts != nil, " strided"},
	} {
		if part.set {
			s += part.text
		}
	}
	return s
}

func (a attention) check() check {
	return check{name: a.String(), slack: a.slack, large: a.large, layouts: a.layouts, program: a.run}
}

func (a attention) run(d *device) {
	rows, stats := a.batch*a.seqLen, a.batch*a.qHeads*a.seqLen
	op := kernels.Attention{AttentionShape: a.shape(d)}
	op.Q, op.R, op.K, op.V = a.inputs(d)
	op.O = d.compute("O", rows, a.qHeads*a.headDim, unwritten)
	op.LSE = d.masterVec("LSE", stats, unwritten)
	if !a.softmax {
		op.VBar = d.compute("VBar", rows, a.qHeads*a.headDim, unwritten)
		op.TBar = d.masterVec("TBar", stats, unwritten)
	}
	d.Attention(op)
	if !a.softmax && !d.NeedsVBar(op.AttentionShape) {
		op.VBar = kernels.Matrix{}
		d.Attention(op)
	}

	back := kernels.AttentionBackward{
		AttentionShape: op.AttentionShape,
		DO:             d.compute("DO", rows, a.qHeads*a.headDim, normal(1)),
		Q:              op.Q, R: op.R, K: op.K, V: op.V, O: op.O, VBar: op.VBar, LSE: op.LSE, TBar: op.TBar,
	}
	before := len(d.tensors)
	back.DQ, back.DR, back.DK, back.DV = a.gradients(d)
	for i := range d.tensors[before:] {
		d.tensors[before+i].gradient = true
	}
	d.AttentionBackward(back)
}

func (a attention) shape(d *device) kernels.AttentionShape {
	s := kernels.AttentionShape{
		Batch: a.batch, SeqLen: a.seqLen, QHeads: a.qHeads, KVHeads: a.kvHeads, HeadDim: a.headDim,
		Scale: 1 / math.Sqrt(float64(a.headDim)), Window: a.window,
	}
	if a.documents {
		starts, err := kernels.DocStarts(a.cuSeqlens(d), a.batch, a.seqLen)
		kernels.Must(err)
		s.DocStart = d.ints(starts)
	}
	return s
}

// cuSeqlens cuts each sequence at random places; the first document has length 1.
func (a attention) cuSeqlens(d *device) []int {
	var cu []int
	for seq := range a.batch {
		length := 1
		for at := 0; at < a.seqLen; at += length {
			if at > 0 {
				length = 1 + d.rng.IntN(1+a.seqLen/3)
			}
			cu = append(cu, seq*a.seqLen+at)
		}
	}
	return append(cu, a.batch*a.seqLen)
}

func (a attention) inputs(d *device) (q, r, k, v kernels.Matrix) {
	std := func(x float64) float64 {
		if x == 0 {
			return 1
		}
		return x
	}
	if a.packed {
		return a.split(d.compute("QRKV", a.batch*a.seqLen, a.packedCols(), normal(1)))
	}
	rows, qcols, kcols := a.batch*a.seqLen, a.qHeads*a.headDim, a.kvHeads*a.headDim
	q = d.compute("Q", rows, qcols, normal(std(a.qk)))
	if !a.softmax {
		r = d.compute("R", rows, qcols, normal(std(a.r)))
	}
	k = d.compute("K", rows, kcols, shifted(a.keyMean, std(a.qk)))
	v = d.compute("V", rows, kcols, normal(1))
	return q, r, k, v
}

func (a attention) gradients(d *device) (dq, dr, dk, dv kernels.Matrix) {
	if a.packed {
		return a.split(d.compute("DQRKV", a.batch*a.seqLen, a.packedCols(), unwritten))
	}
	rows, qcols, kcols := a.batch*a.seqLen, a.qHeads*a.headDim, a.kvHeads*a.headDim
	dq = d.compute("DQ", rows, qcols, unwritten)
	if !a.softmax {
		dr = d.compute("DR", rows, qcols, unwritten)
	}
	return dq, dr, d.compute("DK", rows, kcols, unwritten), d.compute("DV", rows, kcols, unwritten)
}

func (a attention) packedCols() int { return 2 * (a.qHeads + a.kvHeads) * a.headDim }

func (a attention) split(m kernels.Matrix) (q, r, k, v kernels.Matrix) {
	qcols, kcols := a.qHeads*a.headDim, a.kvHeads*a.headDim
	return m.Columns(0, qcols), m.Columns(qcols, 2*qcols), m.Columns(2*qcols, 2*qcols+kcols), m.Columns(2*qcols+kcols, m.Cols)
}

func attentionChecks() []check {
	var checks []check
	for _, problems := range [][]attention{groupings(), masks(), magnitudes(), headSizes(), lengths()} {
		for _, a := range problems {
			checks = append(checks, a.check())
			a.softmax, a.packed = true, false
			checks = append(checks, a.check())
		}
	}
	return checks
}

// headSizes tries each size at one key and at lengths below and beyond a tile.
// With one key, dq, dr and dk cancel to 0 out of terms that grow with the size.
func headSizes() []attention {
	var all []attention
	for _, dim := range []int{1, 2, 3, 8, 16, 17, 32, 64, 80, 128, 256} {
		all = append(all,
			attention{batch: 1, seqLen: 1, qHeads: 2, kvHeads: 1, headDim: dim, slack: float64(dim)},
			attention{batch: 1, seqLen: 7, qHeads: 2, kvHeads: 1, headDim: dim},
			attention{batch: 1, seqLen: 65, qHeads: 2, kvHeads: 1, headDim: dim})
		all = append(all, attention{batch: 2, seqLen: 33, qHeads: 2, kvHeads: 2, headDim: dim, layouts: mixed})
	}
	return all
}

// lengths tries lengths around powers of two. Of one or two keys little may be
// left in the gradients, hence the slack.
func lengths() []attention {
	var all []attention
	for _, length := range []int{1, 2, 7, 63, 64, 65, 111, 128, 257} {
		all = append(all,
			attention{batch: 2, seqLen: length, qHeads: 2, kvHeads: 1, headDim: 16, slack: 1 + 4/float64(length)},
			attention{batch: 1, seqLen: length, qHeads: 1, kvHeads: 1, headDim: 33, packed: true, slack: 1 + 4/float64(length)})
	}
	return append(all, attention{batch: 1, seqLen: 1025, qHeads: 1, kvHeads: 1, headDim: 32, large: true})
}

func groupings() []attention {
	var all []attention
	for _, heads := range [][2]int{{1, 1}, {2, 2}, {2, 1}, {4, 2}, {4, 1}, {8, 2}, {8, 1}} {
		all = append(all, attention{batch: 2, seqLen: 37, qHeads: heads[0], kvHeads: heads[1], headDim: 24, packed: heads[0] == 4})
	}
	return all
}

// masks tries windows and documents, alone and together.
func masks() []attention {
	var all []attention
	for _, window := range []int{0, 1, 3, 16, 64, 200, 1000} {
		a := attention{batch: 1, seqLen: 211, qHeads: 2, kvHeads: 1, headDim: 16, window: window}
		b := a
		b.batch, b.documents, b.layouts = 2, true, mixed
		if window > 0 {
			all = append(all, a)
		}
		all = append(all, b)
	}
	return append(all,
		attention{batch: 1, seqLen: 1, qHeads: 1, kvHeads: 1, headDim: 4, window: 1, documents: true},
		attention{batch: 3, seqLen: 2, qHeads: 1, kvHeads: 1, headDim: 4, documents: true},
		attention{batch: 1, seqLen: 1025, qHeads: 1, kvHeads: 1, headDim: 16, window: 200, documents: true, large: true})
}

// magnitudes tries what overflows or cancels in careless code. Scores of size 50
// carry rounding errors of 50 half-units of the type, and a keyMean makes t large
// while only its differences count: hence the slack.
func magnitudes() []attention {
	base := attention{batch: 1, seqLen: 130, qHeads: 2, kvHeads: 1, headDim: 32, slack: 30}
	scores, huge, probe, mean := base, base, base, base
	scores.qk = 4 // about 16, up to 60
	huge.qk, huge.slack = 12, 300
	probe.r = 30
	mean.keyMean = 3
	return []attention{scores, huge, probe, mean}
}

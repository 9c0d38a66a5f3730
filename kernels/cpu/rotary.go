package cpu

import "parallax/kernels"

// rotary is what forward and backward share.
type rotary struct {
	set                *kernelSet
	heads, dim, seqLen int
	rows, rowsPer      int
	table              []float32
	gain, rstd         []float32
}

func newRotary(set *kernelSet, rows, heads, dim, seqLen int, table, gain, rstd kernels.Buffer) (rotary, int) {
	r := rotary{set: set, heads: heads, dim: dim, seqLen: seqLen, rows: rows,
		table: floats(table), gain: floats(gain), rstd: floats(rstd)}
	var tasks int
	tasks, r.rowsPer = rowTasks(rows, heads*dim)
	return r, tasks
}

// angles are the cosines and then the sines of row n's position.
func (r *rotary) angles(n int) []float32 { return r.table[n%r.seqLen*r.dim:][:r.dim] }

// rstdOf is where 1/rms of row n's heads stands.
func (r *rotary) rstdOf(n int) []float32 { return r.rstd[n*r.heads:][:r.heads] }

// turn rotates a row's heads, for sign = 1 forwards and for -1 back.
func (r *rotary) turn(y, x, angles []float32, sign float32) {
	cos, sin := angles[:r.dim/2], angles[r.dim/2:]
	for at := 0; at < len(x); at += r.dim {
		r.set.rotate(y[at:], x[at:], cos, sin, sign)
	}
}

func (r *rotary) taskRows(task int) (lo, hi int) {
	return task * r.rowsPer, min((task+1)*r.rowsPer, r.rows)
}

type rotaryJob struct {
	rotary
	y, x matrix
	eps  float64
}

// HeadRotary normalises each head's vector, with a gain, and rotates it.
func (b *Backend) HeadRotary(op kernels.HeadRotary) {
	kernels.Must(op.Check())
	r, tasks := newRotary(b.kernels, op.X.Rows, op.Heads, op.HeadDim, op.SeqLen, op.Table, op.Gain, op.RStd)
	b.rotary = rotaryJob{rotary: r, y: view(op.Y), x: view(op.X), eps: op.Eps}
	runOnce(b.pool, tasks, &b.rotary)
}

func (j *rotaryJob) run(_ *worker, task int) {
	lo, hi := j.taskRows(task)
	for n := lo; n < hi; n++ {
		x, y := j.x.row(n), j.y.row(n)
		if j.gain == nil {
			j.turn(y, x, j.angles(n), 1)
		} else {
			j.set.headNorm(y, x, j.gain, j.angles(n), j.rstdOf(n), j.eps, j.x.stride)
		}
	}
}

type rotaryBackwardJob struct {
	rotary
	dx, dy, x matrix
	dgain     []float32 // of each task
}

// HeadRotaryBackward is the gradient of HeadRotary.
func (b *Backend) HeadRotaryBackward(op kernels.HeadRotaryBackward) {
	kernels.Must(op.Check())
	r, tasks := newRotary(b.kernels, op.DY.Rows, op.Heads, op.HeadDim, op.SeqLen, op.Table, op.Gain, op.RStd)
	j := &b.rotaryBack
	*j = rotaryBackwardJob{rotary: r, dx: view(op.DX), dy: view(op.DY)}
	if j.gain == nil {
		runOnce(b.pool, tasks, j)
		return
	}
	stride := lines(op.HeadDim)
	j.x, j.dgain = view(op.X), b.shared.take(tasks*stride)
	b.pool.run(tasks, j)
	b.addInOrder(floats(op.DGain), j.dgain, stride, tasks)
	*j = rotaryBackwardJob{}
}

func (j *rotaryBackwardJob) run(_ *worker, task int) {
	var dgain []float32
	if j.gain != nil {
		dgain = j.dgain[task*lines(j.dim):][:j.dim]
		clear(dgain)
	}
	lo, hi := j.taskRows(task)
	for n := lo; n < hi; n++ {
		dx, dy := j.dx.row(n), j.dy.row(n)
		if j.gain == nil {
			j.turn(dx, dy, j.angles(n), -1)
		} else {
			j.set.headNormGrad(dx, dy, j.x.row(n), j.gain, dgain, j.angles(n), j.rstdOf(n), j.dy.stride, j.x.stride)
		}
	}
}

// headNormPortable is one row of HeadRotary with a gain: of len(rstd) heads. The next row's x
// lies next elements after this one's, for those who prefetch.
func headNormPortable(y, x, gain, angles, rstds []float32, eps float64, _ int) {
	dim := len(gain)
	for h := range rstds {
		x, y := x[h*dim:][:dim], y[h*dim:]
		rstds[h] = rstd(dotPortable(x, x), dim, eps)
		scaledProductPortable(y, x, gain, rstds[h])
		rotatePortable(y, y, angles[:dim/2], angles[dim/2:], 1)
	}
}

// headNormGradPortable is one row of HeadRotaryBackward with a gain: it adds to dgain.
// dx may be dy. The last two are how far dy and x are from the next row's.
func headNormGradPortable(dx, dy, x, gain, dgain, angles, rstds []float32, _, _ int) {
	dim := len(gain)
	for h, r := range rstds {
		dx, x := dx[h*dim:][:dim], x[h*dim:][:dim]
		rotatePortable(dx, dy[h*dim:], angles[:dim/2], angles[dim/2:], -1)
		mean := normDotPortable(dgain, dx, x, gain, r) / float32(dim)
		normApplyPortable(dx, dx, x, gain, nil, r, -r*r*mean)
	}
}

// rotatePortable turns the pairs (x_i, x_{i+h}) by the angles, forwards for
// sign = 1 and back for -1. y may be x.
func rotatePortable(y, x, cos, sin []float32, sign float32) {
	h := len(cos)
	for i, c := range cos {
		s := sign * sin[i]
		a, b := x[i], x[i+h]
		y[i], y[i+h] = a*c-b*s, b*c+a*s
	}
}

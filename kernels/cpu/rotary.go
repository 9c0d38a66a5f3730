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

// angles are the cosines and the sines of row n's position.
func (r *rotary) angles(n int) (cos, sin []float32) {
	at := r.table[n%r.seqLen*r.dim:][:r.dim]
	return at[:r.dim/2], at[r.dim/2:]
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
	b.pool.run(tasks, &b.rotary)
}

func (j *rotaryJob) run(_ *worker, task int) {
	lo, hi := j.taskRows(task)
	for n := lo; n < hi; n++ {
		cos, sin := j.angles(n)
		for h := range j.heads {
			x, y := j.x.head(n, h, j.dim), j.y.head(n, h, j.dim)
			if j.gain != nil {
				r := rstd(j.set, x, j.eps)
				j.rstd[n*j.heads+h] = r
				j.set.scaledProduct(y, x, j.gain, r)
				x = y
			}
			j.set.rotate(y, x, cos, sin, 1)
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
		b.pool.run(tasks, j)
		return
	}
	stride := lines(op.HeadDim)
	j.x, j.dgain = view(op.X), b.shared.take(tasks*stride)
	b.pool.run(tasks, j)
	b.addInOrder(floats(op.DGain), j.dgain, stride, tasks)
}

func (j *rotaryBackwardJob) run(_ *worker, task int) {
	var dgain []float32
	if j.gain != nil {
		dgain = j.dgain[task*lines(j.dim):][:j.dim]
		clear(dgain)
	}
	lo, hi := j.taskRows(task)
	for n := lo; n < hi; n++ {
		cos, sin := j.angles(n)
		for h := range j.heads {
			dx := j.dx.head(n, h, j.dim)
			j.set.rotate(dx, j.dy.head(n, h, j.dim), cos, sin, -1)
			if j.gain != nil {
				normGrad(j.set, dx, dx, j.x.head(n, h, j.dim), j.gain, dgain, nil, j.rstd[n*j.heads+h])
			}
		}
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

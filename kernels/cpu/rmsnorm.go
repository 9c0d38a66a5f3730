package cpu

import (
	"math"

	"parallax/kernels"
)

type rmsNormJob struct {
	set        *kernelSet
	y, x       matrix
	gain, rstd []float32
	eps        float64
	rowsPer    int
}

// RMSNorm normalises each row by its root mean square.
func (b *Backend) RMSNorm(op kernels.RMSNorm) {
	kernels.Must(op.Check())
	j := &b.rmsNorm
	*j = rmsNormJob{set: b.kernels, y: view(op.Y), x: view(op.X), gain: floats(op.Gain), rstd: floats(op.RStd), eps: op.Eps}
	var tasks int
	tasks, j.rowsPer = rowTasks(j.x.rows, j.x.cols)
	runOnce(b.pool, tasks, j)
}

func (j *rmsNormJob) run(_ *worker, task int) {
	for i := task * j.rowsPer; i < min((task+1)*j.rowsPer, j.x.rows); i++ {
		x := j.x.row(i)
		r := rstd(j.set.dot(x, x), len(x), j.eps)
		j.rstd[i] = r
		j.set.scaledProduct(j.y.row(i), x, j.gain, r)
	}
}

// rstd is 1/sqrt(mean + eps) of n squares with the given sum.
func rstd(sum float32, n int, eps float64) float32 {
	return float32(1 / math.Sqrt(float64(sum)/float64(n)+eps))
}

type rmsNormBackwardJob struct {
	set             *kernelSet
	dx, dy, x, add  matrix
	gain, rstd      []float32
	dgain           []float32 // of each task
	rowsPer, stride int
}

// RMSNormBackward is the gradient of RMSNorm.
func (b *Backend) RMSNormBackward(op kernels.RMSNormBackward) {
	kernels.Must(op.Check())
	j := &b.rmsNormBack
	*j = rmsNormBackwardJob{set: b.kernels, dx: view(op.DX), dy: view(op.DY), x: view(op.X), add: view(op.Add),
		gain: floats(op.Gain), rstd: floats(op.RStd)}
	var tasks int
	tasks, j.rowsPer = rowTasks(j.x.rows, j.x.cols)
	j.stride = lines(j.x.cols)
	j.dgain = b.shared.take(tasks * j.stride)
	b.pool.run(tasks, j)
	b.addInOrder(floats(op.DGain), j.dgain, j.stride, tasks)
	*j = rmsNormBackwardJob{}
}

func (j *rmsNormBackwardJob) run(_ *worker, task int) {
	dgain := j.dgain[task*j.stride:][:j.x.cols]
	clear(dgain)
	for i := task * j.rowsPer; i < min((task+1)*j.rowsPer, j.x.rows); i++ {
		var add []float32
		if !j.add.empty() {
			add = j.add.row(i)
		}
		normGrad(j.set, j.dx.row(i), j.dy.row(i), j.x.row(i), j.gain, dgain, add, j.rstd[i])
	}
}

// addInOrder adds parts rows of partial sums, stride apart, to dst.
func (b *Backend) addInOrder(dst, partial []float32, stride, parts int) {
	for t := range parts {
		b.kernels.addTo(dst, partial[t*stride:])
	}
}

// addToPortable is y += x.
func addToPortable(y, x []float32) {
	for i, v := range x[:len(y)] {
		y[i] += v
	}
}

// scaledProductPortable is y = r * x * gain.
func scaledProductPortable(y, x, gain []float32, r float32) {
	y, gain = y[:len(x)], gain[:len(x)]
	for c, v := range x {
		y[c] = r * v * gain[c]
	}
}

// normGrad is one row of kernels.RMSNormBackward; add may be nil. dx may be dy or
// add.
func normGrad(set *kernelSet, dx, dy, x, gain, dgain, add []float32, r float32) {
	mean := set.normDot(dgain, dy, x, gain, r) / float32(len(x))
	set.normApply(dx, dy, x, gain, add, r, -r*r*mean)
}

// normDotPortable adds dy*xhat to dgain and returns the sum of dy*gain*xhat, with
// xhat = r*x.
func normDotPortable(dgain, dy, x, gain []float32, r float32) float32 {
	var sum float32
	for c, v := range x {
		t := dy[c] * (r * v)
		dgain[c] += t
		sum += t * gain[c]
	}
	return sum
}

// normApplyPortable is dx = a*dy*gain + b*x + add, without add where it is empty.
func normApplyPortable(dx, dy, x, gain, add []float32, a, b float32) {
	for c, v := range x {
		g := a*(dy[c]*gain[c]) + b*v
		if len(add) > 0 {
			g += add[c]
		}
		dx[c] = g
	}
}

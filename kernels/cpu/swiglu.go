package cpu

import "parallax/kernels"

type swigluJob struct {
	set         *kernelSet
	y, gate, up matrix
	rowsPer     int
}

// SwiGLU is y = silu(gate) * up.
func (b *Backend) SwiGLU(op kernels.SwiGLU) {
	kernels.Must(op.Check())
	j := &b.swiglu
	*j = swigluJob{set: b.kernels, y: view(op.Y), gate: view(op.Gate), up: view(op.Up)}
	var tasks int
	tasks, j.rowsPer = rowTasks(j.y.rows, j.y.cols)
	runOnce(b.pool, tasks, j)
}

func (j *swigluJob) run(_ *worker, task int) {
	for i := task * j.rowsPer; i < min((task+1)*j.rowsPer, j.y.rows); i++ {
		j.set.swiglu(j.y.row(i), j.gate.row(i), j.up.row(i))
	}
}

type swigluBackwardJob struct {
	set                      *kernelSet
	dgate, dup, dy, gate, up matrix
	rowsPer                  int
}

// SwiGLUBackward is the gradient of SwiGLU.
func (b *Backend) SwiGLUBackward(op kernels.SwiGLUBackward) {
	kernels.Must(op.Check())
	j := &b.swigluBack
	*j = swigluBackwardJob{set: b.kernels, dgate: view(op.DGate), dup: view(op.DUp), dy: view(op.DY), gate: view(op.Gate), up: view(op.Up)}
	var tasks int
	tasks, j.rowsPer = rowTasks(j.dy.rows, j.dy.cols)
	runOnce(b.pool, tasks, j)
}

func (j *swigluBackwardJob) run(_ *worker, task int) {
	for i := task * j.rowsPer; i < min((task+1)*j.rowsPer, j.dy.rows); i++ {
		j.set.swigluGrad(j.dgate.row(i), j.dup.row(i), j.dy.row(i), j.gate.row(i), j.up.row(i))
	}
}

func swigluPortable(y, gate, up []float32) {
	y, up = y[:len(gate)], up[:len(gate)]
	for i, g := range gate {
		y[i] = g * sigmoid(g) * up[i]
	}
}

func swigluGradPortable(dgate, dup, dy, gate, up []float32) {
	for i, g := range gate {
		s := sigmoid(g)
		d, u := dy[i], up[i]
		dup[i] = d * g * s
		dgate[i] = d * u * s * (1 + g*(1-s))
	}
}

func sigmoid(x float32) float32 { return 1 / (1 + exp32(-x)) }

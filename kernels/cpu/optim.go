package cpu

import (
	"math"

	"parallax/kernels"
)

// gradScale is the factor in a buffer of one element, 1 without it.
func gradScale(b kernels.Buffer) float32 {
	if b == nil {
		return 1
	}
	return floats(b)[0]
}

// adamwStep holds AdamW's constants in the form the inner loop uses:
//
//	m = beta1 m + rest1 g        v = beta2 v + rest2 g^2        g = gradScale G
//	p = decay p - rate m / (sqrt(v) rootBias + eps)
type adamwStep struct {
	gradScale, beta1, rest1, beta2, rest2, decay, rate, rootBias, eps float32
}

type adamwJob struct {
	set              *kernelSet
	p, g, m, v, work []float32
	step             adamwStep
}

// AdamW is one step of AdamW.
func (b *Backend) AdamW(op kernels.AdamW) {
	kernels.Must(op.Check())
	c1, c2 := op.BiasCorrections()
	b.adamw = adamwJob{set: b.kernels, p: floats(op.P), g: floats(op.G), m: floats(op.M), v: floats(op.V), work: floats(op.Work),
		step: adamwStep{gradScale: gradScale(op.GradScale), beta1: float32(op.Beta1), rest1: float32(1 - op.Beta1),
			beta2: float32(op.Beta2), rest2: float32(1 - op.Beta2), decay: float32(1 - op.LR*op.WeightDecay), rate: float32(op.LR / c1), rootBias: float32(1 / math.Sqrt(c2)), eps: float32(op.Eps)}}
	runOnce(b.pool, elementTasks(len(b.adamw.p)), &b.adamw)
}

func (j *adamwJob) run(_ *worker, task int) {
	lo, hi := elementRange(task, len(j.p))
	j.set.adamw(j.p[lo:hi], j.g[lo:hi], j.m[lo:hi], j.v[lo:hi], &j.step)
	copyWork(j.work, j.p, lo, hi)
}

func copyWork(work, p []float32, lo, hi int) {
	if work != nil {
		copy(work[lo:hi], p[lo:hi])
	}
}

func adamwPortable(p, g, m, v []float32, s *adamwStep) {
	g, m, v = g[:len(p)], m[:len(p)], v[:len(p)]
	for i := range p {
		x := g[i] * s.gradScale
		m[i] = s.beta1*m[i] + s.rest1*x
		v[i] = s.beta2*v[i] + s.rest2*x*x
		root := float32(math.Sqrt(float64(v[i])))
		p[i] = s.decay*p[i] - s.rate*m[i]/(root*s.rootBias+s.eps)
	}
}

type momentumJob struct {
	set      *kernelSet
	u, m, g  []float32
	scale    float32
	mu       float32
	nesterov bool
}

// Momentum is Muon's accumulation.
func (b *Backend) Momentum(op kernels.Momentum) {
	kernels.Must(op.Check())
	b.momentum = momentumJob{set: b.kernels, u: floats(op.U), m: floats(op.M), g: floats(op.G),
		scale: gradScale(op.GradScale), mu: float32(op.Mu), nesterov: op.Nesterov}
	runOnce(b.pool, elementTasks(len(b.momentum.m)), &b.momentum)
}

func (j *momentumJob) run(_ *worker, task int) {
	lo, hi := elementRange(task, len(j.m))
	if j.nesterov {
		j.set.momentum(j.u[lo:hi], j.m[lo:hi], j.g[lo:hi], j.scale, j.mu, j.scale, j.mu)
	} else {
		j.set.momentum(j.u[lo:hi], j.m[lo:hi], j.g[lo:hi], j.scale, j.mu, 0, 1)
	}
}

// momentumPortable is m = mu m + scale g, then u = a g + b m. u may be g.
func momentumPortable(u, m, g []float32, scale, mu, a, b float32) {
	u, g = u[:len(m)], g[:len(m)]
	for i, x := range g {
		m[i] = mu*m[i] + scale*x
		u[i] = a*x + b*m[i]
	}
}

// scaleJob is y = a x + b u, and work = y.
type scaleJob struct {
	set           *kernelSet
	y, x, u, work []float32
	a, b          float32
}

func (j *scaleJob) run(_ *worker, task int) {
	lo, hi := elementRange(task, len(j.y))
	j.set.combine(j.y[lo:hi], j.x[lo:hi], j.u[lo:hi], j.a, j.b)
	copyWork(j.work, j.y, lo, hi)
}

// Normalize is y = x / (Factor sqrt(SumSquares[0]) + Eps).
func (b *Backend) Normalize(op kernels.Normalize) {
	kernels.Must(op.Check())
	norm := math.Sqrt(float64(floats(op.SumSquares)[0]))
	x := floats(op.X)
	b.scale = scaleJob{set: b.kernels, y: floats(op.Y), x: x, u: x, a: float32(1 / (op.Factor*norm + op.Eps))}
	runOnce(b.pool, elementTasks(len(x)), &b.scale)
}

// Update is p = Decay p - Rate u.
func (b *Backend) Update(op kernels.Update) {
	kernels.Must(op.Check())
	p := floats(op.P)
	b.scale = scaleJob{set: b.kernels, y: p, x: p, u: floats(op.U), work: floats(op.Work), a: float32(op.Decay), b: float32(-op.Rate)}
	runOnce(b.pool, elementTasks(len(p)), &b.scale)
}

// combinePortable is y = a x + b u. y may be x or u.
func combinePortable(y, x, u []float32, a, b float32) {
	x, u = x[:len(y)], u[:len(y)]
	for i := range y {
		y[i] = a*x[i] + b*u[i]
	}
}

package ref

import (
	"fmt"
	"math"

	"parallax/kernels"
)

// SumSquares sums from the first element to the last.
func (b *Backend) SumSquares(dst, x kernels.Buffer, accumulate bool) {
	b.mustScalar("SumSquares' dst", dst)
	to, from := b.vec(dst), b.vec(x)
	b.enqueue(func() error {
		sum := dot(from.x, from.x)
		if accumulate {
			sum += to.x[0]
		}
		to.set(0, sum)
		return nil
	})
}

// ClipScale is min(1, maxNorm/sqrt(sumSquares[0])), and 1 without a maxNorm.
func (b *Backend) ClipScale(dst, sumSquares kernels.Buffer, maxNorm float64) {
	b.mustScalar("ClipScale's dst", dst)
	b.mustScalar("ClipScale's sumSquares", sumSquares)
	to, from := b.vec(dst), b.vec(sumSquares)
	b.enqueue(func() error {
		scale := 1.0
		if maxNorm != 0 {
			scale = min(1, maxNorm/math.Sqrt(from.x[0]))
		}
		to.set(0, scale)
		return nil
	})
}

// mustScalar: SumSquares and ClipScale use element 0 and allow more.
func (b *Backend) mustScalar(name string, arg kernels.Buffer) {
	if arg == nil || arg.Len() < 1 {
		panic(fmt.Sprintf("ref: %s has no element", name))
	}
}

// AdamW is one step on every element.
func (b *Backend) AdamW(op kernels.AdamW) {
	kernels.Must(op.Check())
	p, g, m, v := b.vec(op.P), b.vec(op.G), b.vec(op.M), b.vec(op.V)
	work, scale := b.vec(op.Work), b.vec(op.GradScale)
	c1, c2 := op.BiasCorrections()
	b.enqueue(func() error {
		for i := range p.x {
			gi := g.x[i] * scalarOr1(scale)
			m.set(i, op.Beta1*m.x[i]+(1-op.Beta1)*gi)
			v.set(i, op.Beta2*v.x[i]+(1-op.Beta2)*gi*gi)
			step := (m.x[i] / c1) / (math.Sqrt(v.x[i]/c2) + op.Eps)
			p.set(i, p.x[i]*(1-op.LR*op.WeightDecay)-op.LR*step)
			if op.Work != nil {
				work.set(i, p.x[i])
			}
		}
		return nil
	})
}

// Momentum is m = mu m + g, u = g + mu m or m.
func (b *Backend) Momentum(op kernels.Momentum) {
	kernels.Must(op.Check())
	u, m, g, scale := b.vec(op.U), b.vec(op.M), b.vec(op.G), b.vec(op.GradScale)
	b.enqueue(func() error {
		for i := range m.x {
			gi := g.x[i] * scalarOr1(scale)
			m.set(i, op.Mu*m.x[i]+gi)
			if op.Nesterov {
				u.set(i, gi+op.Mu*m.x[i])
			} else {
				u.set(i, m.x[i])
			}
		}
		return nil
	})
}

func scalarOr1(v vec) float64 {
	if v.x == nil {
		return 1
	}
	return v.x[0]
}

// Normalize is y = x / (factor sqrt(sumSquares) + eps).
func (b *Backend) Normalize(op kernels.Normalize) {
	kernels.Must(op.Check())
	y, x, sumSquares := b.vec(op.Y), b.vec(op.X), b.vec(op.SumSquares)
	b.enqueue(func() error {
		norm := op.Factor*math.Sqrt(sumSquares.x[0]) + op.Eps
		for i := range x.x {
			y.set(i, x.x[i]/norm)
		}
		return nil
	})
}

// Update is p = decay p - rate u.
func (b *Backend) Update(op kernels.Update) {
	kernels.Must(op.Check())
	p, u, work := b.vec(op.P), b.vec(op.U), b.vec(op.Work)
	b.enqueue(func() error {
		for i := range p.x {
			p.set(i, op.Decay*p.x[i]-op.Rate*u.x[i])
			if op.Work != nil {
				work.set(i, p.x[i])
			}
		}
		return nil
	})
}

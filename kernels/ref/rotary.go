package ref

import (
	"slices"

	"parallax/kernels"
)

// HeadRotary is, per head, the norm (with a gain) and then the rotation.
func (b *Backend) HeadRotary(op kernels.HeadRotary) {
	kernels.Must(op.Check())
	y, x, table := b.mat(op.Y), b.mat(op.X), b.vec(op.Table)
	gain, rstd := b.vec(op.Gain), b.vec(op.RStd)
	b.enqueue(func() error {
		for n := range x.rows {
			for head := range op.Heads {
				lo, hi := head*op.HeadDim, (head+1)*op.HeadDim
				u := slices.Clone(x.part(n, lo, hi).x)
				if op.Gain != nil {
					r := reciprocalRMS(u, op.Eps)
					rstd.set(n*op.Heads+head, r)
					for j := range u {
						u[j] *= r * gain.x[j]
					}
				}
				rotate(y.part(n, lo, hi), u, angles(table, n%op.SeqLen, op.HeadDim), +1)
			}
		}
		return nil
	})
}

// HeadRotaryBackward is, per head, the inverse rotation and then the norm's
// gradient.
func (b *Backend) HeadRotaryBackward(op kernels.HeadRotaryBackward) {
	kernels.Must(op.Check())
	dx, dy, table := b.mat(op.DX), b.mat(op.DY), b.vec(op.Table)
	var x mat
	var gain, rstd, dgain vec
	if op.Gain != nil {
		x, gain, rstd, dgain = b.mat(op.X), b.vec(op.Gain), b.vec(op.RStd), b.vec(op.DGain)
	}
	b.enqueue(func() error {
		for n := range dy.rows {
			for head := range op.Heads {
				lo, hi := head*op.HeadDim, (head+1)*op.HeadDim
				du := vec{make([]float64, op.HeadDim), kernels.F64}
				rotate(du, dy.part(n, lo, hi).x, angles(table, n%op.SeqLen, op.HeadDim), -1)
				if op.Gain != nil {
					du.x = normGradient(x.part(n, lo, hi).x, du.x, gain.x, rstd.x[n*op.Heads+head], dgain)
				}
				for j, g := range du.x {
					dx.set(n, lo+j, g)
				}
			}
		}
		return nil
	})
}

// angles is the table's line of one position: dim/2 cosines, then dim/2 sines.
func angles(table vec, position, dim int) []float64 {
	return table.x[position*dim : (position+1)*dim]
}

// rotate writes x, turned forwards (sign +1) or backwards (-1), to y.
func rotate(y vec, x, angles []float64, sign float64) {
	h := len(x) / 2
	for i := range h {
		cos, sin := angles[i], sign*angles[h+i]
		y.set(i, x[i]*cos-x[i+h]*sin)
		y.set(i+h, x[i+h]*cos+x[i]*sin)
	}
}

package ref

import (
	"math"

	"parallax/kernels"
)

// RMSNorm is y = x * rstd * gain.
func (b *Backend) RMSNorm(op kernels.RMSNorm) {
	kernels.Must(op.Check())
	y, x, gain, rstd := b.mat(op.Y), b.mat(op.X), b.vec(op.Gain), b.vec(op.RStd)
	b.enqueue(func() error {
		for i := range x.rows {
			r := reciprocalRMS(x.row(i).x, op.Eps)
			rstd.set(i, r)
			for j := range x.cols {
				y.set(i, j, x.at(i, j)*r*gain.x[j])
			}
		}
		return nil
	})
}

// RMSNormBackward is dx = rstd (h - xhat mean(h xhat)) + add, dgain += dy xhat.
func (b *Backend) RMSNormBackward(op kernels.RMSNormBackward) {
	kernels.Must(op.Check())
	dx, dy, x, add := b.mat(op.DX), b.mat(op.DY), b.mat(op.X), b.mat(op.Add)
	gain, rstd, dgain := b.vec(op.Gain), b.vec(op.RStd), b.vec(op.DGain)
	b.enqueue(func() error {
		for i := range x.rows {
			grad := normGradient(x.row(i).x, dy.row(i).x, gain.x, rstd.x[i], dgain)
			for j := range grad {
				if !add.empty() {
					grad[j] += add.at(i, j)
				}
				dx.set(i, j, grad[j])
			}
		}
		return nil
	})
}

// reciprocalRMS is 1/sqrt(mean(x^2) + eps).
func reciprocalRMS(x []float64, eps float64) float64 {
	return 1 / math.Sqrt(dot(x, x)/float64(len(x))+eps)
}

// normGradient returns the gradient of x*rstd*gain to one vector x, and adds
// that to gain to dgain.
func normGradient(x, dy, gain []float64, rstd float64, dgain vec) []float64 {
	mean := 0.0 // of h*xhat
	for j := range x {
		mean += dy[j] * gain[j] * x[j] * rstd / float64(len(x))
	}
	dx := make([]float64, len(x))
	for j := range x {
		xhat := x[j] * rstd
		dx[j] = rstd * (dy[j]*gain[j] - xhat*mean)
		dgain.add(j, dy[j]*xhat)
	}
	return dx
}

package ref

import (
	"math"

	"parallax/kernels"
)

// HeadLoss is the cross-entropy of softmax(x W^T), one row at a time.
func (b *Backend) HeadLoss(op kernels.HeadLoss) {
	kernels.Must(op.Check())
	x, w, targets, loss := b.mat(op.X), b.mat(op.W), b.ints(op.Targets), b.vec(op.Loss)
	dx, dw := b.mat(op.DX), b.mat(op.DW)
	b.enqueue(func() error {
		for n, target := range targets {
			if target < 0 {
				loss.set(n, 0)
				if !dx.empty() {
					clear(dx.row(n).x)
				}
				continue
			}
			if err := checkToken("head loss: target", n, target, w.rows); err != nil {
				return err
			}
			z := logits(x.row(n).x, w)
			lse := logSumExp(z)
			loss.set(n, lse-z[target])
			if !dx.empty() {
				headGradient(dx.row(n), dw, x.row(n).x, w, z, lse, int(target), op.Scale)
			}
		}
		return nil
	})
}

func logits(x []float64, w mat) []float64 {
	z := make([]float64, w.rows)
	for c := range z {
		z[c] = dot(x, w.row(c).x)
	}
	return z
}

// logSumExp is log sum exp(z), by way of the maximum so that it cannot overflow.
func logSumExp(z []float64) float64 {
	top := math.Inf(-1)
	for _, s := range z {
		top = max(top, s)
	}
	sum := 0.0
	for _, s := range z {
		sum += math.Exp(s - top)
	}
	return top + math.Log(sum)
}

// headGradient writes one row's dx, and adds its share to dw.
func headGradient(dx vec, dw mat, x []float64, w mat, z []float64, lse float64, target int, scale float64) {
	sum := make([]float64, len(x))
	for c := range z {
		dz := math.Exp(z[c] - lse)
		if c == target {
			dz--
		}
		for j := range x {
			sum[j] += scale * dz * w.at(c, j)
			dw.add(c, j, scale*dz*x[j])
		}
	}
	for j := range sum {
		dx.set(j, sum[j])
	}
}

package ref

import (
	"math"

	"parallax/kernels"
)

// SwiGLU is y = gate sigmoid(gate) up.
func (b *Backend) SwiGLU(op kernels.SwiGLU) {
	kernels.Must(op.Check())
	y, gate, up := b.mat(op.Y), b.mat(op.Gate), b.mat(op.Up)
	b.enqueue(func() error {
		for i := range y.rows {
			for j := range y.cols {
				g := gate.at(i, j)
				y.set(i, j, g*sigmoid(g)*up.at(i, j))
			}
		}
		return nil
	})
}

// SwiGLUBackward is dup = dy gate s, dgate = dy up s (1 + gate (1-s)).
func (b *Backend) SwiGLUBackward(op kernels.SwiGLUBackward) {
	kernels.Must(op.Check())
	dgate, dup, dy, gate, up := b.mat(op.DGate), b.mat(op.DUp), b.mat(op.DY), b.mat(op.Gate), b.mat(op.Up)
	b.enqueue(func() error {
		for i := range dy.rows {
			for j := range dy.cols {
				d, g, u := dy.at(i, j), gate.at(i, j), up.at(i, j)
				s := sigmoid(g)
				dup.set(i, j, d*g*s)
				dgate.set(i, j, d*u*s*(1+g*(1-s)))
			}
		}
		return nil
	})
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

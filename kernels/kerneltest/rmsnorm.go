package kerneltest

import (
	"fmt"

	"parallax/kernels"
)

// norm is one RMSNorm, forward and backward.
type norm struct {
	rows, cols int
	residual   residual
	std        float64
	layouts    []layout
}

// residual says what RMSNormBackward's Add is.
type residual string

const (
	noResidual  residual = ""
	addSeparate residual = " with Add"
	addInPlace  residual = " with Add in DX"
)

func (n norm) check() check {
	name := fmt.Sprintf("rmsnorm %dx%d x%g%s", n.rows, n.cols, n.std, n.residual)
	if n.layouts != nil {
		name += " strided"
	}
	return check{name: name, slack: normSlack(n.cols), layouts: n.layouts, program: n.run}
}

// normSlack: the gradient is what is left of h without its part along x, which in
// few dimensions is little, and in one is of the size of Eps.
func normSlack(cols int) float64 {
	return 1 + 64/float64(cols*cols*cols)
}

func (n norm) run(d *device) {
	op := kernels.RMSNorm{
		Y:    d.compute("Y", n.rows, n.cols, unwritten),
		X:    d.compute("X", n.rows, n.cols, normal(n.std)),
		Gain: d.computeVec("Gain", n.cols, normal(1)),
		RStd: d.masterVec("RStd", n.rows, unwritten),
		Eps:  1e-5,
	}
	d.RMSNorm(op)

	back := kernels.RMSNormBackward{
		DY: d.compute("DY", n.rows, n.cols, normal(1)),
		X:  op.X, Gain: op.Gain, RStd: op.RStd,
		DGain: d.masterVec("DGain", n.cols, normal(1)),
	}
	switch n.residual {
	case noResidual:
		back.DX = d.compute("DX", n.rows, n.cols, unwritten)
	case addSeparate:
		back.DX = d.compute("DX", n.rows, n.cols, unwritten)
		back.Add = d.compute("Add", n.rows, n.cols, normal(1))
	case addInPlace:
		back.DX = d.compute("DX", n.rows, n.cols, normal(1))
		back.Add = back.DX
	}
	d.RMSNormBackward(back)
}

func rmsnormChecks() []check {
	var checks []check
	for _, rows := range []int{1, 3, 64, 97} {
		for _, cols := range []int{2, 3, 8, 17, 64, 127, 384} {
			for i, residual := range []residual{noResidual, addSeparate, addInPlace} {
				n := norm{rows: rows, cols: cols, residual: residual, std: 1}
				if i%2 == 1 || cols == 17 {
					n.layouts = mixed
				}
				checks = append(checks, n.check())
			}
		}
	}
	for _, std := range []float64{0, 1e-3, 1e4} { // where Eps is all, something, nothing
		checks = append(checks, norm{rows: 5, cols: 48, residual: addSeparate, std: std}.check())
	}
	return append(checks, norm{rows: 300, cols: 1, std: 1}.check(), norm{rows: 2, cols: 5000, std: 1}.check())
}

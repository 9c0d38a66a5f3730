package kerneltest

import (
	"fmt"

	"parallax/kernels"
)

// gated is one SwiGLU, forward and backward.
type gated struct {
	rows, cols int
	std        float64 // of the gate; exp(100) overflows a float32
	inPlace    bool    // DGate is Gate, DUp is Up
	layouts    []layout
}

func (g gated) check() check {
	name := fmt.Sprintf("swiglu %dx%d gate x%g", g.rows, g.cols, g.std)
	if g.inPlace {
		name += " in place"
	}
	if g.layouts != nil {
		name += " strided"
	}
	return check{name: name, layouts: g.layouts, program: g.run}
}

func (g gated) run(d *device) {
	op := kernels.SwiGLU{
		Y:    d.compute("Y", g.rows, g.cols, unwritten),
		Gate: d.compute("Gate", g.rows, g.cols, normal(g.std)),
		Up:   d.compute("Up", g.rows, g.cols, normal(1)),
	}
	d.SwiGLU(op)
	back := kernels.SwiGLUBackward{DGate: op.Gate, DUp: op.Up, Gate: op.Gate, Up: op.Up, DY: d.compute("DY", g.rows, g.cols, normal(1))}
	if !g.inPlace {
		back.DGate = d.compute("DGate", g.rows, g.cols, unwritten)
		back.DUp = d.compute("DUp", g.rows, g.cols, unwritten)
	}
	d.SwiGLUBackward(back)
}

func swigluChecks() []check {
	var checks []check
	for _, shape := range [][2]int{{1, 1}, {1, 7}, {3, 16}, {5, 33}, {64, 64}, {67, 129}, {2, 1000}} {
		for mode := range 4 {
			g := gated{rows: shape[0], cols: shape[1], std: 2, inPlace: mode&1 != 0}
			if mode&2 != 0 {
				g.layouts = mixed
			}
			checks = append(checks, g.check())
		}
	}
	return append(checks, gated{rows: 9, cols: 40, std: 100}.check())
}

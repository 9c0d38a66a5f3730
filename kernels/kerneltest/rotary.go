package kerneltest

import (
	"fmt"
	"math"
	"math/rand/v2"

	"parallax/kernels"
)

// rotary is one HeadRotary, forward and backward.
type rotary struct {
	batch, seqLen, heads, headDim int
	gain                          bool // normalise first
	inPlace                       bool // Y is X (without gain), DX is DY
	layouts                       []layout
}

func (r rotary) check() check {
	name := fmt.Sprintf("head rotary B%d T%d H%d D%d", r.batch, r.seqLen, r.heads, r.headDim)
	slack := 0.0
	if r.gain {
		name += " with norm"
		slack = normSlack(r.headDim)
	}
	if r.inPlace {
		name += " in place"
	}
	if r.layouts != nil {
		name += " strided"
	}
	return check{name: name, slack: slack, layouts: r.layouts, program: r.run}
}

func (r rotary) run(d *device) {
	rows, cols := r.batch*r.seqLen, r.heads*r.headDim
	op := kernels.HeadRotary{
		X:     d.compute("X", rows, cols, normal(2)),
		Heads: r.heads, HeadDim: r.headDim, SeqLen: r.seqLen,
		Table: d.masterVec("Table", r.seqLen*r.headDim, angles(r.headDim)),
		Eps:   1e-5,
	}
	back := kernels.HeadRotaryBackward{
		DY:    d.compute("DY", rows, cols, normal(1)),
		Heads: r.heads, HeadDim: r.headDim, SeqLen: r.seqLen, Table: op.Table,
	}
	if r.gain {
		op.Gain = d.computeVec("Gain", r.headDim, normal(1))
		op.RStd = d.masterVec("RStd", rows*r.heads, unwritten)
		back.X, back.Gain, back.RStd = op.X, op.Gain, op.RStd
		back.DGain = d.masterVec("DGain", r.headDim, normal(1))
	}
	op.Y, back.DX = op.X, back.DY
	if !r.inPlace || r.gain {
		op.Y = d.compute("Y", rows, cols, unwritten)
	}
	if !r.inPlace {
		back.DX = d.compute("DX", rows, cols, unwritten)
	}
	d.HeadRotary(op)
	d.HeadRotaryBackward(back)
}

// angles gives the table's elements in order: per position, dim/2 cosines and then
// dim/2 sines.
func angles(dim int) fill {
	n := 0
	return func(*rand.Rand) float64 {
		position, i := n/dim, n%dim
		n++
		angle := float64(position) * math.Pow(1e4, -float64(2*(i%(dim/2)))/float64(dim))
		if i < dim/2 {
			return math.Cos(angle)
		}
		return math.Sin(angle)
	}
}

func rotaryChecks() []check {
	var checks []check
	for _, dim := range []int{2, 4, 6, 16, 34, 64, 128, 256} {
		for i, batchLen := range [][2]int{{1, 1}, {2, 5}, {1, 67}} {
			for mode := range 4 {
				r := rotary{batch: batchLen[0], seqLen: batchLen[1], heads: 1 + 2*(i%2), headDim: dim, gain: mode&1 != 0, inPlace: mode&2 != 0}
				checks = append(checks, r.check())
				r.layouts = mixed
				checks = append(checks, r.check())
			}
		}
	}
	return checks
}

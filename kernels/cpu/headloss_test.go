package cpu

import (
	"fmt"
	"testing"

	"parallax/kernels"
)

func TestHeadLoss(t *testing.T) {
	for _, s := range [][3]int{{1, 2, 1}, {5, 17, 7}, {70, 1000, 40}, {600, 20, 8}} {
		for _, gradients := range []bool{true, false} {
			t.Run(fmt.Sprint(s, gradients), func(t *testing.T) {
				agree(t, 5e-6, func(d *device) { headLoss(d, s[0], s[1], s[2], gradients) })
			})
		}
	}
}

// headLoss ignores every fifth row.
func headLoss(d *device, rows, words, dim int, gradients bool) {
	targets := make([]int32, rows)
	for n := range targets {
		targets[n] = int32(d.rng.IntN(words))
		if n%5 == 4 {
			targets[n] = -1
		}
	}
	op := kernels.HeadLoss{X: d.inMat(rows, dim), W: d.inMat(words, dim), Targets: d.ints(targets), Loss: d.out(rows), Scale: 0.25}
	if gradients {
		op.DX, op.DW = d.outMat(rows, dim), d.outMat(words, dim)
	}
	d.HeadLoss(op)
}

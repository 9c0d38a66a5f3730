package kerneltest

import (
	"fmt"
	"math"

	"parallax/kernels"
)

// headLoss is one output head with its cross-entropy.
type headLoss struct {
	rows, vocabulary, width int
	logits                  float64 // their standard deviation
	evaluate                bool    // no gradients
	ignored                 int     // every so many-th target is ignored; 1: all, 0: none
	slack                   float64
	large                   bool
	layouts                 []layout
}

func (h headLoss) check() check {
	name := fmt.Sprintf("head loss n %d vocabulary %d width %d logits x%g", h.rows, h.vocabulary, h.width, h.logits)
	if h.evaluate {
		name += " evaluate"
	}
	if h.ignored > 0 {
		name += fmt.Sprintf(" ignoring 1 of %d", h.ignored)
	}
	if h.layouts != nil {
		name += " strided"
	}
	return check{name: name, slack: h.slack, large: h.large, layouts: h.layouts, program: h.run}
}

func (h headLoss) run(d *device) {
	std := math.Sqrt(h.logits / math.Sqrt(float64(h.width)))
	op := kernels.HeadLoss{
		X:       d.compute("X", h.rows, h.width, normal(std)),
		W:       d.compute("W", h.vocabulary, h.width, normal(std)),
		Targets: h.targets(d),
		Loss:    d.masterVec("Loss", h.rows, unwritten),
		Scale:   1 / float64(h.rows),
	}
	if !h.evaluate {
		op.DX = d.compute("DX", h.rows, h.width, unwritten)
		op.DW = d.master("DW", h.vocabulary, h.width, normal(1e-2))
	}
	d.HeadLoss(op)
}

func (h headLoss) targets(d *device) kernels.Buffer {
	targets := make([]int32, h.rows)
	for i := range targets {
		targets[i] = int32(d.rng.IntN(h.vocabulary))
		if h.ignored > 0 && i%h.ignored == 0 {
			targets[i] = -1 - int32(d.rng.IntN(100))
		}
	}
	return d.ints(targets)
}

func headLossChecks() []check {
	var checks []check
	for _, h := range []headLoss{
		{rows: 1, vocabulary: 1, width: 1, logits: 1},
		{rows: 1, vocabulary: 2, width: 3, logits: 1},
		{rows: 7, vocabulary: 33, width: 5, logits: 1},
		{rows: 65, vocabulary: 256, width: 48, logits: 1},
		{rows: 5, vocabulary: 100, width: 8, logits: 1, ignored: 1},
		{rows: 131, vocabulary: 127, width: 17, logits: 2, ignored: 3},
		{rows: 29, vocabulary: 300, width: 24, logits: 40, ignored: 2, slack: 30},
		{rows: 37, vocabulary: 5000, width: 33, logits: 3, large: true},
		{rows: 300, vocabulary: 513, width: 16, logits: 1, large: true},
	} {
		for mode := range 4 {
			h.evaluate, h.layouts = mode&1 != 0, nil
			if mode&2 != 0 {
				h.layouts = mixed
			}
			checks = append(checks, h.check())
		}
	}
	return checks
}

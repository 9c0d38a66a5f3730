package kerneltest

import (
	"fmt"

	"parallax/kernels"
)

func optimizerChecks() []check {
	var checks []check
	for _, n := range []int{1, 3, 16, 67, 1000, 4099} {
		for _, layouts := range [][]layout{nil, mixed} {
			suffix := fmt.Sprint(" n ", n)
			if layouts != nil {
				suffix += " unaligned"
			}
			add := func(name string, class class, program func(d *device)) {
				checks = append(checks, check{name: name + suffix, class: class, slack: fewSlack(n), layouts: layouts, program: program})
			}
			for _, step := range []int{1, 2, 1000} {
				add(fmt.Sprint("adamw step ", step), master, func(d *device) { adamw(d, n, step, false) })
			}
			add("adamw with work", compute, func(d *device) { adamw(d, n, 7, true) })
			for _, nesterov := range []bool{false, true} {
				add(fmt.Sprint("momentum nesterov ", nesterov), master, func(d *device) { momentum(d, n, nesterov, false) })
				add(fmt.Sprint("momentum in place nesterov ", nesterov), master, func(d *device) { momentum(d, n, nesterov, true) })
			}
			add("normalize", compute, func(d *device) { normalize(d, n) })
			add("update", master, func(d *device) { update(d, n, false) })
			add("update with work", compute, func(d *device) { update(d, n, true) })
			add("sum of squares", master, func(d *device) { sumSquares(d, n) })
		}
	}
	checks = append(checks, check{name: "sum of squares n 200003", class: master, program: func(d *device) { sumSquares(d, 200003) }})
	for _, maxNorm := range []float64{0, 1e-3, 1, 1e3} {
		checks = append(checks, check{
			name:    fmt.Sprint("clip scale to ", maxNorm),
			class:   master,
			layouts: mixed,
			program: func(d *device) { clipScale(d, maxNorm) },
		})
	}
	return checks
}

// fewSlack: among few elements, one that is a difference of two like ones weighs
// much.
func fewSlack(n int) float64 { return 1 + 16/float64(n) }

func adamw(d *device, n, step int, work bool) {
	op := kernels.AdamW{
		P: d.masterVec("P", n, normal(1)), G: d.masterVec("G", n, normal(1)),
		M: d.masterVec("M", n, normal(0.1)), V: d.masterVec("V", n, positive),
		LR: 1e-2, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.1, Step: step,
	}
	if work {
		op.Work = d.computeVec("Work", n, unwritten)
		op.GradScale = d.masterVec("GradScale", 1, positive)
	}
	d.AdamW(op)
}

func momentum(d *device, n int, nesterov, inPlace bool) {
	op := kernels.Momentum{
		M: d.masterVec("M", n, normal(1)), G: d.masterVec("G", n, normal(1)),
		Mu: 0.95, Nesterov: nesterov,
	}
	if inPlace {
		op.U = op.G
		op.GradScale = d.masterVec("GradScale", 1, positive)
	} else {
		op.U = d.masterVec("U", n, unwritten)
	}
	d.Momentum(op)
}

func normalize(d *device, n int) {
	op := kernels.Normalize{
		Y: d.computeVec("Y", n, unwritten), X: d.masterVec("X", n, normal(3)),
		SumSquares: d.masterVec("SumSquares", 1, unwritten),
		Factor:     1.01, Eps: 1e-7,
	}
	d.SumSquares(op.SumSquares, op.X, false)
	d.Normalize(op)
}

// update takes U of the Master type, and with work of the Compute type.
func update(d *device, n int, work bool) {
	op := kernels.Update{P: d.masterVec("P", n, normal(1)), Decay: 0.998, Rate: 0.02}
	if work {
		op.Work = d.computeVec("Work", n, unwritten)
		op.U = d.computeVec("U", n, normal(1))
	} else {
		op.U = d.masterVec("U", n, normal(1))
	}
	d.Update(op)
}

// sumSquares sums one buffer of each type, the second on top of the first.
func sumSquares(d *device, n int) {
	sum := d.masterVec("Sum", 1, unwritten)
	d.SumSquares(sum, d.masterVec("X", n, normal(2)), false)
	both := d.masterVec("Both", 1, normal(1))
	d.Copy(both, sum)
	d.SumSquares(both, d.computeVec("Z", n, normal(1)), true)
}

// clipScale also clips a gradient of zero, which needs no clipping.
func clipScale(d *device, maxNorm float64) {
	d.ClipScale(d.masterVec("Scale", 1, unwritten), d.masterVec("Sum", 1, positive), maxNorm)
	d.ClipScale(d.masterVec("ScaleOfZero", 1, unwritten), d.masterVec("ZeroSum", 1, shifted(0, 0)), maxNorm)
}

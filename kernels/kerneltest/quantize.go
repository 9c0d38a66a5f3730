package kerneltest

import (
	"fmt"
	"math"
	"math/rand/v2"

	"parallax/kernels"
)

// quantizeChecks are exact: rounding to integers leaves no freedom.
func quantizeChecks() []check {
	var checks []check
	for _, n := range []int{1, 7, 16, 67, 1000, 20011} {
		for _, f := range []kernels.FixedPoint{{Bits: 27, Exponent: -9}, {Bits: 31, Exponent: -95}, {Bits: 3, Exponent: 2}, {Bits: 18, Exponent: 96}} {
			if n > 1000 && f.Exponent != -9 {
				continue
			}
			for _, layouts := range [][]layout{nil, mixed} {
				name := fmt.Sprintf("n %d with %d bits below 2^%d", n, f.Bits, f.Exponent)
				if layouts != nil {
					name += " unaligned"
				}
				checks = append(checks,
					check{name: "quantize " + name, class: exact, layouts: layouts, program: func(d *device) { quantize(d, n, f) }},
					check{name: "dequantize " + name, class: exact, layouts: layouts, program: func(d *device) { dequantize(d, n, f) }})
			}
		}
	}
	return checks
}

// quantize adds up three gradients, the last one with numbers that are none.
func quantize(d *device, n int, f kernels.FixedPoint) {
	op := kernels.Quantize{FixedPoint: f, Sum: d.ints32("Sum", n, anyInt), Peak: d.ints32("Peak", 1, zeroInt)}
	for i, values := range []fill{around(f), around(f), orNoNumber(around(f))} {
		op.G = d.typedVec(fmt.Sprint("G", i), kernels.F32, kernels.F32, n, values)
		op.Accumulate = i > 0
		d.Quantize(op)
		if i == 1 {
			finite := d.ints32("Finite", 1, zeroInt)
			d.Copy(finite, op.Peak)
		}
	}
}

func dequantize(d *device, n int, f kernels.FixedPoint) {
	d.Dequantize(kernels.Dequantize{
		FixedPoint: f,
		G:          d.typedVec("G", kernels.F32, kernels.F32, n, unwritten),
		Sum:        d.ints32("Sum", n, anyInt),
	})
}

// around gives numbers of all magnitudes from far below the unit to beyond the
// limit, and ties.
func around(f kernels.FixedPoint) fill {
	return func(rng *rand.Rand) float64 {
		switch unit := f.Unit(); rng.IntN(6) {
		case 0:
			return (float64(rng.IntN(64)-32) + 0.5) * unit
		case 1:
			return [...]float64{0, math.Copysign(0, -1), 1e-45, 0.5 * unit, -float64(f.Limit()) * unit}[rng.IntN(5)]
		default:
			return rng.NormFloat64() * math.Ldexp(unit, rng.IntN(f.Bits+3)-2)
		}
	}
}

func orNoNumber(usual fill) fill {
	return func(rng *rand.Rand) float64 {
		if rng.IntN(4) > 0 {
			return usual(rng)
		}
		return [...]float64{math.Inf(1), math.Inf(-1), math.NaN()}[rng.IntN(3)]
	}
}

// anyInt gives sums of all magnitudes that may occur, and zeroInt a fresh peak.
func anyInt(rng *rand.Rand) int32 { return (rng.Int32() - 1<<30) >> rng.IntN(31) }
func zeroInt(*rand.Rand) int32    { return 0 }

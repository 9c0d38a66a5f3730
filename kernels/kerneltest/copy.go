package kerneltest

import (
	"fmt"
	"math"
	"math/rand/v2"

	"parallax/kernels"
)

// copyChecks convert between the types that every backend has.
func copyChecks() []check {
	var checks []check
	types := []kernels.DType{kernels.F32, kernels.BF16}
	for _, n := range []int{1, 7, 64, 1001} {
		for _, from := range types {
			for _, to := range types {
				checks = append(checks, check{
					name:    fmt.Sprintf("copy %v to %v n %d", from, to, n),
					class:   exact,
					layouts: mixed,
					program: func(d *device) {
						src := d.typedVec("Src", from, from, n, corners)
						d.Copy(d.typedVec("Dst", to, to, n, unwritten), src)
					},
				})
			}
		}
		checks = append(checks, check{
			name:    fmt.Sprintf("copy compute to master, zero n %d", n),
			class:   exact,
			layouts: mixed,
			program: func(d *device) {
				src := d.computeVec("Src", n, normal(1))
				d.Copy(d.masterVec("Dst", n, unwritten), src)
				d.Zero(d.computeVec("Zero", n, unwritten))
				d.Zero(d.masterVec("MasterZero", n, unwritten))
			},
		})
	}
	return checks
}

// corners are mostly random bits of a float32, and else what rounding to bfloat16
// gets wrong: ties, carries into the exponent, overflow, subnormals, signed zeros.
func corners(rng *rand.Rand) float64 {
	special := []uint32{
		0x3f808000, 0x3f818000, // ties, to even
		0x3f7fffff, 0x7f7fffff, // carry, overflow to infinity
		0x00000001, 0x00008000, 0x807fffff, // subnormal
		0x00000000, 0x80000000, 0x7f800000, 0xff800000,
	}
	bits := rng.Uint32()
	if k := rng.IntN(2 * len(special)); k < len(special) {
		bits = special[k]
	}
	if x := float64(math.Float32frombits(bits)); !math.IsNaN(x) {
		return x
	}
	return 1
}

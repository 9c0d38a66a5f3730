package kernels

import (
	"fmt"
	"math"
)

// FixedPoint is how numbers below 2^Exponent in magnitude are written as integers
// below 2^Bits: as multiples of 2^(Exponent-Bits). Sums of such integers do not
// depend on the order of the additions.
type FixedPoint struct{ Bits, Exponent int }

// MaxShift bounds |Bits-Exponent|, so that the unit and its inverse are normal
// float32 numbers.
const MaxShift = 126

// Unit is the number that the integer 1 stands for.
func (f FixedPoint) Unit() float64 { return math.Ldexp(1, f.Exponent-f.Bits) }

// Limit is the largest integer in use: the largest below 2^Bits that is a float32.
func (f FixedPoint) Limit() int32 { return int32(uint32(1)<<f.Bits - uint32(1)<<max(0, f.Bits-24)) }

func (f FixedPoint) check() error {
	if f.Bits < 1 || f.Bits > 31 {
		return fmt.Errorf("%d bits are not in 1..31", f.Bits)
	}
	if shift := f.Bits - f.Exponent; shift < -MaxShift || shift > MaxShift {
		return fmt.Errorf("%d bits below 2^%d: the unit is no normal float32", f.Bits, f.Exponent)
	}
	return nil
}

// Quantize writes a gradient as integers, or with Accumulate adds it to such, takes
// note of its largest magnitude, and clears it for the next micro-batch:
//
//	n    = g / Unit, rounded to the nearest integer, ties to even, within +-Limit
//	sum  = n, or sum + n
//	peak = max(peak, bits of |g|)
//	g    = 0
//
// NaN becomes Limit, and shows in Peak. The caller sees to it that sums stay below
// 2^31. See [PeakExponent] for what Peak says.
type Quantize struct {
	FixedPoint
	Sum        Buffer // [n] I32, written or updated
	G          Buffer // [n] F32, cleared
	Peak       Buffer // [1] I32, raised
	Accumulate bool
}

// Check says what is wrong with the arguments.
func (op Quantize) Check() error {
	err := checkQuantized(op.FixedPoint, op.G, op.Sum)
	if err == nil {
		err = checkTyped("Peak", op.Peak, 1, I32)
	}
	if err != nil {
		return fmt.Errorf("quantize: %w", err)
	}
	return nil
}

// Dequantize turns a sum of integers back into a gradient: g = sum * Unit, rounded
// once, to the nearest float32, ties to even.
type Dequantize struct {
	FixedPoint
	G   Buffer // [n] F32, written
	Sum Buffer // [n] I32
}

// Check says what is wrong with the arguments.
func (op Dequantize) Check() error {
	if err := checkQuantized(op.FixedPoint, op.G, op.Sum); err != nil {
		return fmt.Errorf("dequantize: %w", err)
	}
	return nil
}

func checkQuantized(f FixedPoint, g, sum Buffer) error {
	if err := f.check(); err != nil {
		return err
	}
	if sum == nil {
		return fmt.Errorf("Sum is missing")
	}
	return firstError(checkTyped("Sum", sum, sum.Len(), I32), checkTyped("G", g, sum.Len(), F32))
}

func checkTyped(name string, b Buffer, n int, dt DType) error {
	if err := checkLen(name, b, n); err != nil {
		return err
	}
	if b.DType() != dt {
		return fmt.Errorf("%s is %v, want %v", name, b.DType(), dt)
	}
	return nil
}

// NotFinite is the [PeakExponent] of infinity and NaN, above that of any number.
const NotFinite = 129

// MinPeak is the least [PeakExponent]: zero, and numbers so small that float32 holds
// them with less precision.
const MinPeak = -126

// PeakExponent is the smallest e with |g| < 2^e for every g that [Quantize] has
// seen, from its Peak.
func PeakExponent(peak int32) int { return int(peak>>23) + MinPeak }

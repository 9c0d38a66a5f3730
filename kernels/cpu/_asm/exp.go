package main

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The constants of exp.go in package cpu.
const (
	log2E  = 1.44269504088896341
	ln2Hi  = 0.693359375
	ln2Lo  = -2.12194440e-4
	expMin = -87.33654
	expMax = 88
)

var expCoeffs = []float32{1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3,
	4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1}

// exponential is e^x with its constants at hand; see exp.go in package cpu.
type exponential struct {
	*simd
	log2E, ln2Hi, ln2Lo, min, max, one operand.Op
	bias, sign                         operand.Op
	coeffs                             []operand.Op
}

func (s *simd) exponential() *exponential {
	e := &exponential{simd: s, log2E: s.constant(log2E), ln2Hi: s.constant(ln2Hi), ln2Lo: s.constant(ln2Lo),
		min: s.constant(expMin), max: s.constant(expMax), one: s.constant(1), sign: s.constantBits(1 << 31)}
	if !s.wide {
		e.bias = s.constantBits(127)
	}
	for _, c := range expCoeffs {
		e.coeffs = append(e.coeffs, s.constant(c))
	}
	return e
}

// of is e^x: 0 below expMin, e^expMax above expMax, NaN for NaN.
func (e *exponential) of(x reg.VecVirtual) reg.VecVirtual {
	clamped := e.clamp(x)
	n := e.round(e.mul(clamped, e.log2E))
	r := e.fnma(n, e.ln2Hi, clamped)
	r = e.fnma(n, e.ln2Lo, r)
	p := e.copy(e.coeffs[0])
	for _, c := range e.coeffs[1:] {
		e.VFMADD213PS(c, r, p)
	}
	square := e.mul(r, r)
	e.VFMADD213PS(r, square, p)
	p = e.add(p, e.one)
	return e.scale(p, n, x)
}

// clamp is min(x, expMax) that lets NaN through: the instruction returns its
// second source when one is NaN.
func (e *exponential) clamp(x reg.VecVirtual) reg.VecVirtual {
	return e.simd.min(e.inRegister(e.max), x)
}

// scale is p 2^n, or 0 where x < expMin.
func (e *exponential) scale(p, n, x reg.VecVirtual) reg.VecVirtual {
	const notLess = 5
	out := e.vec()
	if e.wide {
		k := e.K()
		e.VCMPPS(operand.U8(notLess), e.min, x, k)
		e.VSCALEFPS_Z(n, p, k, out)
		return out
	}
	e.VCVTPS2DQ(n, out)
	e.VPADDD(e.bias, out, out)
	e.VPSLLD(operand.U8(23), out, out)
	e.VMULPS(p, out, out)
	keep := e.YMM()
	e.VCMPPS(operand.U8(notLess), e.min, x, keep)
	e.VANDPS(keep, out, out)
	return out
}

// sigmoid is 1/(1 + e^-x).
func (e *exponential) sigmoid(x reg.VecVirtual) reg.VecVirtual {
	minus := e.vec()
	if e.wide {
		e.VPXORQ(e.sign, x, minus)
	} else {
		e.VXORPS(e.sign, x, minus)
	}
	one := e.inRegister(e.one)
	return e.div(one, e.add(e.of(minus), one))
}

var negativeInfinity = float32(math.Inf(-1))

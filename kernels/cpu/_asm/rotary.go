package main

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func rotate(s *simd) {
	s.function("rotate", "(y, x, cos, sin []float32, sign float32)", "is rotatePortable, vectorised.")
	y, x, cos, sin, n := s.slice("y"), s.slice("x"), s.slice("cos"), s.slice("sin"), s.length("cos")
	y2, x2 := s.GP64(), s.GP64()
	s.LEAQ(operand.Mem{Base: y, Index: n, Scale: 4}, y2)
	s.LEAQ(operand.Mem{Base: x, Index: n, Scale: 4}, x2)
	sign := s.param("sign")
	s.each(n, 1, func(c *cursor, _ int) {
		a, b, cos, sin := c.get(x), c.get(x2), c.get(cos), s.mul(sign, c.get(sin))
		c.put(s.fnma(b, sin, s.mul(a, cos)), y)
		c.put(s.fma(a, sin, s.mul(b, cos)), y2)
	})
	s.end()
}

// halves walks the first halves of vectors of dim elements, and with upper the second.
type halves struct {
	*cursor
	upper *cursor
}

// eachHalf runs body for every vector of the first half, and its counterpart.
func (s *simd) eachHalf(half reg.GPVirtual, body func(c halves)) {
	j := s.GP64()
	s.each(half, 1, func(c *cursor, _ int) {
		s.LEAQ(operand.Mem{Base: c.i, Index: half, Scale: 1}, j)
		body(halves{cursor: c, upper: &cursor{simd: s, i: j, part: c.part}})
	})
}

// both are a vector and its counterpart.
func (h halves) both(base reg.Register) (lower, upper reg.VecVirtual) {
	return h.get(base), h.upper.get(base)
}

// eachHead runs body for as many heads as rstd has elements; body steps its own addresses.
func (s *simd) eachHead(body func(rstd operand.Mem)) {
	rstd, left := s.slice("rstd"), s.length("rstd")
	s.Label("head")
	body(operand.Mem{Base: rstd})
	s.ADDQ(operand.I8(4), rstd)
	s.DECQ(left)
	s.JNE(operand.LabelRef("head"))
}

// step moves addresses by n floats.
func (s *simd) step(n reg.GPVirtual, addresses ...reg.Register) {
	for _, a := range addresses {
		s.LEAQ(operand.Mem{Base: a, Index: n, Scale: 4}, a.(reg.GPVirtual))
	}
}

// nextRow is the address as many floats after base as the parameter says, which is wanted
// next: rows of a slice of columns lie too far apart for the processor to foresee them.
func (s *simd) nextRow(name string, base reg.Register) reg.GPVirtual {
	distance := s.Load(s.Param(name), s.GP64())
	at := s.GP64()
	s.LEAQ(operand.Mem{Base: base, Index: distance, Scale: 4}, at)
	return at
}

func headNorm(s *simd) {
	s.function("headNorm", "(y, x, gain, angles, rstd []float32, eps float64, next int)", "is headNormPortable, vectorised.")
	y, x, gain, angles, dim := s.slice("y"), s.slice("x"), s.slice("gain"), s.slice("angles"), s.length("gain")
	next := s.nextRow("next", x)
	half := s.GP64()
	s.MOVQ(dim, half)
	s.SHRQ(operand.U8(1), half)
	s.eachHead(func(rstd operand.Mem) {
		sums := [4]reg.VecVirtual{s.zero(), s.zero(), s.zero(), s.zero()}
		s.each(dim, len(sums), func(c *cursor, turn int) {
			v := c.get(x)
			s.PREFETCHT0(c.at(next))
			s.accumulate(v, v, sums[turn])
		})
		sum := s.sumLanes(s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3])))
		s.storeRStd(sum, dim, rstd)
		r := s.broadcast(rstd)
		s.eachHalf(half, func(c halves) {
			a, b := c.both(x)
			gainA, gainB := c.both(gain)
			cos, sin := c.both(angles)
			a, b = s.mul(s.mul(r, a), gainA), s.mul(s.mul(r, b), gainB)
			c.put(s.fnma(b, sin, s.mul(a, cos)), y)
			c.upper.put(s.fma(a, sin, s.mul(b, cos)), y)
		})
		s.step(dim, y, x, next)
	})
	s.end()
}

// storeRStd stores 1/sqrt(sum/n + eps), computed in float64.
func (s *simd) storeRStd(sum reg.VecVirtual, n reg.GPVirtual, to operand.Mem) {
	eps, err := s.Param("eps").Resolve()
	if err != nil {
		panic(err)
	}
	one := s.doubles(1)
	v, count := s.XMM(), s.XMM()
	s.VCVTSS2SD(sum.AsX(), sum.AsX(), v)
	s.VXORPS(count, count, count)
	s.VCVTSI2SDQ(n, count, count)
	s.VDIVSD(count, v, v)
	s.VADDSD(eps.Addr, v, v)
	s.VSQRTSD(v, v, v)
	s.VMOVSD(one, count)
	s.VDIVSD(v, count, v)
	s.VCVTSD2SS(v, v, v)
	s.VMOVSS(v, to)
}

// doubles is a float64 in memory.
func (s *simd) doubles(x float64) operand.Mem {
	bits := math.Float64bits(x)
	return s.words("double", uint32(bits), uint32(bits>>32))
}

func headNormGrad(s *simd) {
	s.function("headNormGrad", "(dx, dy, x, gain, dgain, angles, rstd []float32, nextDY, nextX int)", "is headNormGradPortable, vectorised.")
	dx, dy, x, gain, dgain := s.slice("dx"), s.slice("dy"), s.slice("x"), s.slice("gain"), s.slice("dgain")
	angles, dim := s.slice("angles"), s.length("gain")
	nextDY, nextX := s.nextRow("nextDY", dy), s.nextRow("nextX", x)
	half := s.GP64()
	s.MOVQ(dim, half)
	s.SHRQ(operand.U8(1), half)
	count := s.vec()
	s.VCVTSI2SSQ(dim, s.zero().AsX(), count.AsX())
	s.eachHead(func(rstd operand.Mem) {
		r := s.broadcast(rstd)
		sums := [2]reg.VecVirtual{s.zero(), s.zero()}
		s.eachHalf(half, func(c halves) {
			a, b := c.both(dy)
			cos, sin := c.both(angles)
			turned := [2]reg.VecVirtual{s.fma(b, sin, s.mul(a, cos)), s.fnma(a, sin, s.mul(b, cos))}
			for i, at := range []*cursor{c.cursor, c.upper} {
				at.put(turned[i], dx)
				t := s.mul(turned[i], s.mul(r, at.get(x)))
				at.put(s.add(at.get(dgain), t), dgain)
				s.accumulate(t, at.get(gain), sums[i])
			}
		})
		sum := s.sumLanes(s.add(sums[0], sums[1]))
		mean := s.vec()
		s.VDIVSS(count.AsX(), sum.AsX(), mean.AsX())
		s.VBROADCASTSS(mean.AsX(), mean)
		down := s.mul(s.mul(r, r), mean)
		s.each(dim, 1, func(c *cursor, _ int) {
			s.PREFETCHT0(c.at(nextDY))
			s.PREFETCHT0(c.at(nextX))
			c.put(s.fnma(down, c.get(x), s.mul(r, s.mul(c.get(dx), c.get(gain)))), dx)
		})
		s.step(dim, dx, dy, x, nextDY, nextX)
	})
	s.end()
}

package main

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Arithmetic on vectors. Each method returns a fresh register; register
// allocation is avo's. An operand may be a vector or, last, a constant.

func (s *simd) add(a, b operand.Op) reg.VecVirtual { return s.binary(s.VADDPS, a, b) }
func (s *simd) sub(a, b operand.Op) reg.VecVirtual { return s.binary(s.VSUBPS, a, b) }
func (s *simd) mul(a, b operand.Op) reg.VecVirtual { return s.binary(s.VMULPS, a, b) }
func (s *simd) div(a, b operand.Op) reg.VecVirtual { return s.binary(s.VDIVPS, a, b) }
func (s *simd) max(a, b operand.Op) reg.VecVirtual { return s.binary(s.VMAXPS, a, b) }
func (s *simd) min(a, b operand.Op) reg.VecVirtual { return s.binary(s.VMINPS, a, b) }

// binary is a op b: Go's operand order has the second source first.
func (s *simd) binary(op func(...operand.Op), a, b operand.Op) reg.VecVirtual {
	v := s.vec()
	op(b, a, v)
	return v
}

// fma is a*b + c, fnma -a*b + c; b may be a constant.
func (s *simd) fma(a, b operand.Op, c reg.VecVirtual) reg.VecVirtual {
	v := s.copy(c)
	s.VFMADD231PS(b, a, v)
	return v
}

func (s *simd) fnma(a, b operand.Op, c reg.VecVirtual) reg.VecVirtual {
	v := s.copy(c)
	s.VFNMADD231PS(b, a, v)
	return v
}

// accumulate is c += a*b.
func (s *simd) accumulate(a, b operand.Op, c reg.VecVirtual) { s.VFMADD231PS(b, a, c) }

func (s *simd) copy(a operand.Op) reg.VecVirtual {
	v := s.vec()
	s.VMOVUPS(a, v)
	return v
}

func (s *simd) sqrt(a operand.Op) reg.VecVirtual {
	v := s.vec()
	s.VSQRTPS(a, v)
	return v
}

// round is the nearest integer, ties to even.
func (s *simd) round(a reg.VecVirtual) reg.VecVirtual {
	v := s.vec()
	if s.wide {
		s.VRNDSCALEPS(operand.U8(8), a, v)
	} else {
		s.VROUNDPS(operand.U8(8), a, v)
	}
	return v
}

// keep is v with 0 outside the tail's lanes, or v where the vector is whole.
func (s *simd) keep(v reg.VecVirtual, part bool) reg.VecVirtual {
	if !part {
		return v
	}
	out := s.vec()
	if s.wide {
		s.VMOVUPS_Z(v, s.tail, out)
	} else {
		s.VANDPS(s.tail, v, out)
	}
	return out
}

// keepOr is v with fill's elements outside the tail's lanes.
func (s *simd) keepOr(v, fill reg.VecVirtual, part bool) reg.VecVirtual {
	if !part {
		return v
	}
	if s.wide {
		out := s.copy(fill)
		s.VMOVUPS(v, s.tail, out)
		return out
	}
	out := s.vec()
	s.VBLENDVPS(s.tail, v, fill, out)
	return out
}

// whereMore is yes in the lanes where a > b, and no in the others.
func (s *simd) whereMore(a, b, yes, no reg.VecVirtual) reg.VecVirtual {
	const greater = 14
	if s.wide {
		out, k := s.copy(no), s.K()
		s.VCMPPS(operand.U8(greater), b, a, k)
		s.VMOVUPS(yes, k, out)
		return out
	}
	out, mask := s.vec(), s.vec()
	s.VCMPPS(operand.U8(greater), b, a, mask)
	s.VBLENDVPS(mask, yes, no, out)
	return out
}

// constant is a vector of equal floats: a register with AVX-512, a table in
// memory with AVX2, which has too few registers. Ask for it before a loop.
func (s *simd) constant(x float32) operand.Op { return s.constantBits(math.Float32bits(x)) }

func (s *simd) constantBits(bits uint32) operand.Op {
	if c, ok := s.constants[bits]; ok {
		return c
	}
	if s.looping {
		panic(s.name + ": a constant is first asked for in a loop, which may not run")
	}
	var c operand.Op
	if s.wide {
		c = s.broadcast(s.words(wordName("word", bits), bits))
	} else {
		c = s.words(wordName("words", bits), bits, bits, bits, bits, bits, bits, bits, bits)
	}
	s.constants[bits] = c
	return c
}

// inRegister is a constant as a register, for operands that cannot be memory.
func (s *simd) inRegister(c operand.Op) reg.VecVirtual {
	if v, ok := c.(reg.VecVirtual); ok {
		return v
	}
	return s.copy(c)
}

// param is a float parameter in all lanes.
func (s *simd) param(name string) reg.VecVirtual {
	address, err := s.Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return s.broadcast(address.Addr)
}

// result stores the first lane as a result.
func (s *simd) result(v reg.VecVirtual, name string) { s.Store(v.AsX(), s.Return(name)) }

// sumLanes and maxLanes reduce a vector to one number, in all lanes.
func (s *simd) sumLanes(v reg.VecVirtual) reg.VecVirtual { return s.reduce(s.VADDPS, v) }
func (s *simd) maxLanes(v reg.VecVirtual) reg.VecVirtual { return s.reduce(s.VMAXPS, v) }

// reduce halves the vector until one number is left.
func (s *simd) reduce(op func(...operand.Op), v reg.VecVirtual) reg.VecVirtual {
	half := s.YMM()
	if s.wide {
		s.VEXTRACTF64X4(operand.U8(1), v, half)
		op(v.AsY(), half, half)
	} else {
		s.VMOVUPS(v, half)
	}
	x, other := s.XMM(), s.XMM()
	if s.wide { // the registers above 15 too
		s.VEXTRACTF32X4(operand.U8(1), half, x)
	} else {
		s.VEXTRACTF128(operand.U8(1), half, x)
	}
	op(half.AsX(), x, x)
	s.VPERMILPS(operand.U8(0b01001110), x, other)
	op(other, x, x)
	s.VPERMILPS(operand.U8(0b10110001), x, other)
	op(other, x, x)
	out := s.vec()
	s.VBROADCASTSS(x, out)
	return out
}

// cursor addresses the vectors of slices that are walked together.
type cursor struct {
	*simd
	i, n reg.GPVirtual // element, and how many are left
	disp int           // of the vector within an unrolled turn
	part bool          // the tail
}

// at is the current vector of the slice that starts at base.
func (c *cursor) at(base reg.Register) operand.Mem {
	return operand.Mem{Base: base, Index: c.i, Scale: 4, Disp: c.disp}
}

func (c *cursor) get(base reg.Register) reg.VecVirtual {
	v := c.vec()
	c.load(c.at(base), v, c.part)
	return v
}

func (c *cursor) put(v reg.VecVirtual, base reg.Register) { c.store(v, c.at(base), c.part) }

// each runs body for every vector of length elements: unroll at a time while
// they last, then one by one, then for the tail. turn is 0 to unroll-1, so that
// sums can be kept in several registers.
func (s *simd) each(length reg.GPVirtual, unroll int, body func(c *cursor, turn int)) {
	s.looping = true
	defer func() { s.looping = false }()
	c := &cursor{simd: s, i: s.GP64(), n: s.GP64()}
	s.XORQ(c.i, c.i)
	s.MOVQ(length, c.n)
	if unroll > 1 {
		c.whole(unroll, body)
	}
	c.whole(1, body)
	done := s.label("done")
	s.TESTQ(c.n, c.n)
	s.JEQ(operand.LabelRef(done))
	s.setTail(c.n)
	c.part = true
	body(c, 0)
	s.Label(done)
}

// whole runs body while unroll whole vectors are left.
func (c *cursor) whole(unroll int, body func(c *cursor, turn int)) {
	loop, end := c.label("loop"), c.label("end")
	step := unroll * c.lanes
	c.SUBQ(operand.I32(step), c.n)
	c.JLT(operand.LabelRef(end))
	c.Label(loop)
	for turn := range unroll {
		c.disp = turn * c.lanes * 4
		body(c, turn)
	}
	c.disp = 0
	c.ADDQ(operand.I32(step), c.i)
	c.SUBQ(operand.I32(step), c.n)
	c.JGE(operand.LabelRef(loop))
	c.Label(end)
	c.ADDQ(operand.I32(step), c.n)
}

// slice loads the address of a slice parameter's first element.
func (s *simd) slice(name string) reg.Register { return s.Load(s.Param(name).Base(), s.GP64()) }

// length loads a slice parameter's length.
func (s *simd) length(name string) reg.GPVirtual {
	return s.Load(s.Param(name).Len(), s.GP64()).(reg.GPVirtual)
}

package main

import "github.com/mmcloughlin/avo/operand"

// convertUnit emits the conversions of whole vectors; the caller sees to the rest.
func convertUnit(s *simd) {
	toBF16(s)
	fromBF16(s)
}

// and and or are bitwise; AVX-512 has other names for them.

func (s *simd) and(a, b, out operand.Op) {
	if s.wide {
		s.VPANDD(a, b, out)
	} else {
		s.VPAND(a, b, out)
	}
}

func (s *simd) or(a, b, out operand.Op) {
	if s.wide {
		s.VPORD(a, b, out)
	} else {
		s.VPOR(a, b, out)
	}
}

func toBF16(s *simd) {
	s.function("toBF16", "(dst []uint16, src []float32)", "is toBF16Portable for a multiple of the vector length.")
	dst, src, n := s.slice("dst"), s.slice("src"), s.length("src")
	one, half, quiet := s.constantBits(1), s.constantBits(0x7fff), s.constantBits(0x40)
	s.each(n, 1, func(c *cursor, _ int) {
		if c.part {
			return
		}
		x := c.get(src)
		top, odd, rounded, nan := s.vec(), s.vec(), s.vec(), s.vec()
		s.VPSRLD(operand.U8(16), x, top)
		s.and(one, top, odd)
		s.VPADDD(half, x, rounded)
		s.VPADDD(odd, rounded, rounded)
		s.VPSRLD(operand.U8(16), rounded, rounded)
		s.or(quiet, top, nan)
		const unordered = 3
		out := operand.Mem{Base: dst, Index: c.i, Scale: 2}
		if s.wide {
			k := s.K()
			s.VCMPPS(operand.U8(unordered), x, x, k)
			s.VMOVDQA32(nan, k, rounded)
			s.VPMOVDW(rounded, out)
			return
		}
		is := s.YMM()
		s.VCMPPS(operand.U8(unordered), x, x, is)
		s.VBLENDVPS(is, nan, rounded, rounded)
		s.VPACKUSDW(rounded, rounded, rounded)
		s.VPERMQ(operand.U8(0b1000), rounded, rounded)
		s.VMOVUPS(rounded.AsX(), out)
	})
	s.end()
}

func fromBF16(s *simd) {
	s.function("fromBF16", "(dst []float32, src []uint16)", "is fromBF16Portable for a multiple of the vector length.")
	dst, src, n := s.slice("dst"), s.slice("src"), s.length("src")
	s.each(n, 1, func(c *cursor, _ int) {
		if c.part {
			return
		}
		v := s.vec()
		s.VPMOVZXWD(operand.Mem{Base: src, Index: c.i, Scale: 2}, v)
		s.VPSLLD(operand.U8(16), v, v)
		c.put(v, dst)
	})
	s.end()
}

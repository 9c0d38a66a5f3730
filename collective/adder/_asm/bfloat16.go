package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// bfloat16 emits the loops in which one side is a bfloat16.
func (s *simd) bfloat16() {
	var dst, a, b reg.Register
	var round rounding
	s.loop("addBF16", "func(dst, a []uint16, b []float32)", "sets dst[i] to a[i] + b[i], rounded, for whole turns.",
		func() { dst, a, b, round = s.base("dst"), s.base("a"), s.base("b"), s.rounding() },
		func(vector int) {
			v := s.widened(a, vector)
			s.VADDPS(s.at(b, vector, 4), v, v)
			s.narrowed(round, v, dst, vector)
		})
	s.loop("addWide", "func(dst []float32, a []uint16, b []float32)", "sets dst[i] to a[i] + b[i] for whole turns.",
		func() { dst, a, b = s.base("dst"), s.base("a"), s.base("b") },
		func(vector int) {
			v := s.widened(a, vector)
			s.VADDPS(s.at(b, vector, 4), v, v)
			s.VMOVUPS(v, s.at(dst, vector, 4))
		})
	s.loop("narrow", "func(dst []uint16, src []float32)", "rounds src to bfloat16 for whole turns.",
		func() { dst, a, round = s.base("dst"), s.base("src"), s.rounding() },
		func(vector int) {
			v := s.vec()
			s.VMOVUPS(s.at(a, vector, 4), v)
			s.narrowed(round, v, dst, vector)
		})
	s.loop("widen", "func(dst []float32, src []uint16)", "turns bfloat16 into float32 for whole turns.",
		func() { dst, a = s.base("dst"), s.base("src") },
		func(vector int) { s.VMOVUPS(s.widened(a, vector), s.at(dst, vector, 4)) })
}

// widened is a vector of bfloat16 as float32: the same bits, and 16 zeros.
func (s *simd) widened(base reg.Register, vector int) reg.VecVirtual {
	v := s.vec()
	s.VPMOVZXWD(s.at(base, vector, 2), v)
	s.VPSLLD(operand.U8(16), v, v)
	return v
}

// rounding holds what rounding needs in all lanes.
type rounding struct{ one, half, quiet reg.VecVirtual }

func (s *simd) rounding() rounding {
	return rounding{s.everywhere(1), s.everywhere(0x7fff), s.everywhere(0x40)}
}

func (s *simd) everywhere(bits uint32) reg.VecVirtual {
	word, x, v := s.GP32(), s.XMM(), s.vec()
	s.MOVL(operand.U32(bits), word)
	s.VMOVD(word, x)
	s.VPBROADCASTD(x, v)
	return v
}

// narrowed stores a vector rounded to bfloat16, to the nearest and ties to even:
// half of the last place is added, less one bit where that place is even. A NaN
// keeps its upper bits and is made a quiet one.
func (s *simd) narrowed(r rounding, v reg.VecVirtual, base reg.Register, vector int) {
	top, rounded, nan := s.vec(), s.vec(), s.vec()
	s.VPSRLD(operand.U8(16), v, top)
	s.and(r.one, top, rounded)
	s.VPADDD(r.half, rounded, rounded)
	s.VPADDD(v, rounded, rounded)
	s.VPSRLD(operand.U8(16), rounded, rounded)
	s.or(r.quiet, top, nan)
	const unordered = 3
	if s.wide {
		is := s.K()
		s.VCMPPS(operand.U8(unordered), v, v, is)
		s.VMOVDQA32(nan, is, rounded)
		s.VPMOVDW(rounded, s.at(base, vector, 2))
		return
	}
	is := s.YMM()
	s.VCMPPS(operand.U8(unordered), v, v, is)
	s.VBLENDVPS(is, nan, rounded, rounded)
	s.VPACKUSDW(rounded, rounded, rounded)
	s.VPERMQ(operand.U8(0b1000), rounded, rounded)
	s.VMOVUPS(rounded.AsX(), s.at(base, vector, 2))
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

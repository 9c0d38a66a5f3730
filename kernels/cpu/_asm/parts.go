package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// splitter cuts floats into three bf16 each, exactly: x = p0 + p1 + p2.
type splitter struct {
	*simd
	half, top operand.Op // half a unit of the upper word's last place, the upper word
}

func (s *simd) splitter() splitter {
	return splitter{simd: s, half: s.constantBits(0x8000), top: s.constantBits(0xffff0000)}
}

// parts are the three parts as floats with empty lower words, but for the last,
// whose lower word is rubbish where it is a denormal.
func (s splitter) parts(x reg.VecVirtual) [3]reg.VecVirtual {
	var p [3]reg.VecVirtual
	for i := range 2 {
		p[i] = s.vec()
		s.VPADDD(s.half, x, p[i])
		s.VPANDD(s.top, p[i], p[i])
		x = s.sub(x, p[i])
	}
	p[2] = x
	return p
}

// store writes the parts of two vectors of terms as pairs, a term of low and one of
// high each, partBytes apart.
func (s splitter) store(low, high reg.VecVirtual, to operand.Mem) {
	p, q := s.parts(low), s.parts(high)
	for i := range p {
		const orAnd = 0xf8 // p | q & top
		s.VPSRLD(operand.U8(16), p[i], p[i])
		s.VPTERNLOGD(operand.U8(orAnd), s.top, q[i], p[i])
		to.Disp += min(i, 1) * partBytes
		s.VMOVUPS(p[i], to)
	}
}

// splitRows emits the parts of 16 rows: A's tiles.
func splitRows(s *simd) {
	s.function("splitRows", "(dst []uint16, src []float32, stride, steps int)",
		"writes the parts of 16 rows of 32*steps floats to A's tiles.")
	dst, src := s.slice("dst"), s.slice("src")
	stride := s.Load(s.Param("stride"), s.GP64())
	steps := s.Load(s.Param("steps"), s.GP64())
	s.SHLQ(operand.U8(2), stride)
	far := s.GP64() // the next 16 rows
	s.MOVQ(stride, far)
	s.SHLQ(operand.U8(4), far)
	split := s.splitter()
	s.Label("step")
	row, left := s.GP64(), s.GP64()
	s.MOVQ(src, row)
	s.MOVQ(operand.U32(16), left)
	s.Label("row")
	s.PREFETCHT1(operand.Mem{Base: row, Index: far, Scale: 1})
	s.PREFETCHT1(operand.Mem{Base: row, Index: far, Scale: 1, Disp: 64})
	split.store(s.copy(operand.Mem{Base: row}), s.copy(operand.Mem{Base: row, Disp: 64}), operand.Mem{Base: dst})
	s.ADDQ(stride, row)
	s.ADDQ(operand.U8(64), dst)
	s.DECQ(left)
	s.JNE(operand.LabelRef("row"))
	s.SUBQ(operand.I8(-128), src)
	s.ADDQ(operand.I32(stepBytes-tileBytes), dst)
	s.DECQ(steps)
	s.JNE(operand.LabelRef("step"))
	s.end()
}

// ahead is how far along a row splitPairs prefetches, in bytes.
const ahead = 512

// splitPairs emits the parts of 32 rows: B's tiles.
func splitPairs(s *simd) {
	s.function("splitPairs", "(dst []uint16, panelStride int, src []float32, stride, panels int)",
		"writes the parts of 32 rows of 32*panels floats to B's tiles.")
	dst, src := s.slice("dst"), s.slice("src")
	panelStride := s.Load(s.Param("panelStride"), s.GP64())
	stride := s.Load(s.Param("stride"), s.GP64())
	panels := s.Load(s.Param("panels"), s.GP64())
	s.SHLQ(operand.U8(1), panelStride)
	s.SHLQ(operand.U8(2), stride)
	far := s.GP64() // 16 rows on
	s.MOVQ(stride, far)
	s.SHLQ(operand.U8(4), far)
	split := s.splitter()
	s.Label("panel")
	row, tile, left := s.GP64(), s.GP64(), s.GP64()
	s.MOVQ(src, row)
	s.MOVQ(dst, tile)
	s.MOVQ(operand.U32(16), left)
	s.Label("pair")
	for line := 0; line < 128; line += 64 {
		s.PREFETCHT0(operand.Mem{Base: row, Disp: ahead + line})
		s.PREFETCHT0(operand.Mem{Base: row, Index: far, Scale: 1, Disp: ahead + line})
	}
	for half := range 2 {
		split.store(s.copy(operand.Mem{Base: row, Disp: 64 * half}), s.copy(operand.Mem{Base: row, Index: far, Scale: 1, Disp: 64 * half}),
			operand.Mem{Base: tile, Disp: half * tileBytes})
	}
	s.ADDQ(stride, row)
	s.ADDQ(operand.U8(64), tile)
	s.DECQ(left)
	s.JNE(operand.LabelRef("pair"))
	s.SUBQ(operand.I8(-128), src)
	s.ADDQ(panelStride, dst)
	s.DECQ(panels)
	s.JNE(operand.LabelRef("panel"))
	s.end()
}

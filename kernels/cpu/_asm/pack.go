package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// packUnit emits the copies of operands.
func packUnit(s *simd) {
	transpose(s)
	scatter(s)
}

// scatter emits the copy of a row to panels of two vectors.
func scatter(s *simd) {
	s.function("scatter", "(dst []float32, panelStride int, src []float32, panels int)",
		"copies the two vectors of panel i of a row, src[2*lanes*i:], to dst[i*panelStride:].")
	dst, src := s.slice("dst"), s.slice("src")
	stride := s.Load(s.Param("panelStride"), s.GP64())
	panels := s.Load(s.Param("panels"), s.GP64())
	s.SHLQ(operand.U8(2), stride)
	loop, done := s.label("loop"), s.label("done")
	s.TESTQ(panels, panels)
	s.JEQ(operand.LabelRef(done))
	s.Label(loop)
	for half := range 2 {
		s.VMOVUPS(s.copy(operand.Mem{Base: src, Disp: half * s.lanes * 4}), operand.Mem{Base: dst, Disp: half * s.lanes * 4})
	}
	s.ADDQ(operand.I32(2*s.lanes*4), src)
	s.ADDQ(stride, dst)
	s.DECQ(panels)
	s.JNE(operand.LabelRef(loop))
	s.Label(done)
	s.end()
}

// transpose emits the transposition of lanes x lanes blocks in registers.
func transpose(s *simd) {
	s.function("transpose", "(dst []float32, dstStride int, src []float32, srcStride int, blocks int)",
		"copies the transpose of a block of vector-length rows and blocks times as many columns: element (i, j) of src goes to dst[j*dstStride+i].")
	dst, src := s.slice("dst"), s.slice("src")
	dstStride := s.Load(s.Param("dstStride"), s.GP64())
	srcStride := s.Load(s.Param("srcStride"), s.GP64())
	blocks := s.Load(s.Param("blocks"), s.GP64())
	s.SHLQ(operand.U8(2), dstStride)
	s.SHLQ(operand.U8(2), srcStride)
	far := s.GP64() // the next rows
	s.MOVQ(srcStride, far)
	s.IMUL3Q(operand.U8(s.lanes), far, far)
	loop, done := s.label("loop"), s.label("done")
	s.TESTQ(blocks, blocks)
	s.JEQ(operand.LabelRef(done))
	s.Label(loop)
	row := s.GP64()
	s.MOVQ(src, row)
	rows := make([]reg.VecVirtual, s.lanes)
	for i := range rows {
		rows[i] = s.copy(operand.Mem{Base: row})
		s.PREFETCHT0(operand.Mem{Base: row, Index: far, Scale: 1})
		s.ADDQ(srcStride, row)
	}
	for _, column := range s.transposed(rows) {
		s.VMOVUPS(column, operand.Mem{Base: dst})
		s.ADDQ(dstStride, dst)
	}
	s.ADDQ(operand.I32(s.lanes*4), src)
	s.DECQ(blocks)
	s.JNE(operand.LabelRef(loop))
	s.Label(done)
	s.end()
}

// transposed exchanges rows and columns: pairs of floats, then pairs of pairs
// within 128-bit lanes, then the lanes.
func (s *simd) transposed(r []reg.VecVirtual) []reg.VecVirtual {
	n := len(r)
	for i := 0; i < n; i += 2 {
		r[i], r[i+1] = s.binary(s.VUNPCKLPS, r[i], r[i+1]), s.binary(s.VUNPCKHPS, r[i], r[i+1])
	}
	for i := 0; i < n; i += 4 {
		a, b, c, d := r[i], r[i+1], r[i+2], r[i+3]
		r[i], r[i+1] = s.binary(s.VUNPCKLPD, a, c), s.binary(s.VUNPCKHPD, a, c)
		r[i+2], r[i+3] = s.binary(s.VUNPCKLPD, b, d), s.binary(s.VUNPCKHPD, b, d)
	}
	// Now lane l of r[4g+c] is column 4l+c of rows 4g..4g+3.
	if s.wide {
		return s.transposedLanes4(r)
	}
	out := make([]reg.VecVirtual, n)
	for c := range 4 {
		out[c] = s.lanes2(0x20, r[c], r[4+c])
		out[4+c] = s.lanes2(0x31, r[c], r[4+c])
	}
	return out
}

func (s *simd) lanes2(selector uint8, a, b reg.VecVirtual) reg.VecVirtual {
	v := s.vec()
	s.VPERM2F128(operand.U8(selector), b, a, v)
	return v
}

// transposedLanes4 exchanges the 4 x 4 lanes of the vectors r[c], r[4+c],
// r[8+c], r[12+c] for each c.
func (s *simd) transposedLanes4(r []reg.VecVirtual) []reg.VecVirtual {
	const even, odd = 0x88, 0xdd
	out := make([]reg.VecVirtual, len(r))
	for c := range 4 {
		lowEven, lowOdd := s.lanes4(even, r[c], r[4+c]), s.lanes4(odd, r[c], r[4+c])
		highEven, highOdd := s.lanes4(even, r[8+c], r[12+c]), s.lanes4(odd, r[8+c], r[12+c])
		out[c], out[8+c] = s.lanes4(even, lowEven, highEven), s.lanes4(odd, lowEven, highEven)
		out[4+c], out[12+c] = s.lanes4(even, lowOdd, highOdd), s.lanes4(odd, lowOdd, highOdd)
	}
	return out
}

func (s *simd) lanes4(selector uint8, a, b reg.VecVirtual) reg.VecVirtual {
	v := s.vec()
	s.VSHUFF32X4(operand.U8(selector), b, a, v)
	return v
}

package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets of type tile's fields, see tile.go and its test.
const (
	tileA      = 0
	tileB      = 24
	tileC      = 48
	tileAdd    = 72
	tileARow   = 96
	tileACol   = 104
	tileBRow   = 112
	tileCRow   = 120
	tileAddRow = 128
	tileN      = 144
	tileK      = 152
	tileAlpha  = 160
	tileBeta   = 164
	tileNext   = 168
)

// floatOne is 1 as a float32.
const floatOne = 0x3f800000

// unroll is the number of steps of k per turn of the inner loop.
const unroll = 4

// tiles emits the micro-kernel for every number of rows and one or two vectors
// of columns: at full size 24 accumulators of 32 registers with AVX-512 (12 x
// 32), 12 of 16 with AVX2 (6 x 16).
func tiles(s *simd) {
	rows := 6
	if s.wide {
		rows = 12
	}
	for vectors := 1; vectors <= 2; vectors++ {
		for m := 1; m <= rows; m++ {
			newTileEmitter(s, m, vectors).emit()
		}
	}
}

type tileEmitter struct {
	*simd
	m, vectors int
	t          reg.Register // *tile
	acc        [][]reg.VecVirtual
	a, b       reg.GPVirtual
	next       reg.GPVirtual         // what to prefetch, a cache line per turn
	rows       map[int]reg.GPVirtual // odd multiples of A's row stride, in bytes
}

func newTileEmitter(s *simd, m, vectors int) *tileEmitter {
	return &tileEmitter{simd: s, m: m, vectors: vectors, rows: map[int]reg.GPVirtual{}}
}

func (e *tileEmitter) emit() {
	e.function(fmt.Sprintf("tile%dx%d", e.m, e.vectors*e.lanes), "(t *tile)",
		fmt.Sprintf("computes %d rows and up to %d columns.", e.m, e.vectors*e.lanes))
	e.t = e.Load(e.Param("t"), e.GP64())
	e.maskLastVector()
	e.a, e.b, e.next = e.field(tileA), e.field(tileB), e.field(tileNext)
	e.TESTQ(e.next, e.next)
	e.CMOVQEQ(e.b, e.next)
	e.rowStrides()
	for range e.m {
		var row []reg.VecVirtual
		for range e.vectors {
			row = append(row, e.zero())
		}
		e.acc = append(e.acc, row)
	}
	e.prefetchC()
	e.sum()
	e.epilogue()
	e.end()
}

func (e *tileEmitter) at(offset int) operand.Mem { return operand.Mem{Base: e.t, Disp: offset} }

func (e *tileEmitter) field(offset int) reg.GPVirtual {
	r := e.GP64()
	e.MOVQ(e.at(offset), r)
	return r
}

// stride is a field counted in floats, in bytes.
func (e *tileEmitter) stride(offset int) reg.GPVirtual {
	r := e.field(offset)
	e.SHLQ(operand.U8(2), r)
	return r
}

// maskLastVector makes the mask of the columns in the last vector.
func (e *tileEmitter) maskLastVector() {
	n := e.field(tileN)
	if e.vectors > 1 {
		e.SUBQ(operand.U8((e.vectors-1)*e.lanes), n)
	}
	e.setTail(n)
}

// rowStrides computes the odd multiples of A's row stride; the even ones are
// scaled indices.
func (e *tileEmitter) rowStrides() {
	if e.m == 1 {
		return
	}
	e.rows[1] = e.stride(tileARow)
	for i := 3; i < e.m; i += 2 {
		r := e.GP64()
		e.LEAQ(operand.Mem{Base: e.rows[i-2], Index: e.rows[1], Scale: 2}, r)
		e.rows[i] = r
	}
}

// row is the address of A(i, p) with a at A(0, p).
func (e *tileEmitter) row(i int) operand.Mem {
	if i == 0 {
		return operand.Mem{Base: e.a}
	}
	scale := 1
	for i%2 == 0 {
		i, scale = i/2, scale*2
	}
	return operand.Mem{Base: e.a, Index: e.rows[i], Scale: uint8(scale)}
}

// prefetchC asks for the block of C while the sums are computed.
func (e *tileEmitter) prefetchC() {
	c, cRow := e.field(tileC), e.stride(tileCRow)
	for i := range e.m {
		for line := 0; line < e.vectors*e.lanes*4; line += 64 {
			e.PREFETCHT0(operand.Mem{Base: c, Disp: line})
		}
		if i+1 < e.m {
			e.ADDQ(cRow, c)
		}
	}
}

// sum runs over k.
func (e *tileEmitter) sum() {
	aCol, bRow, k := e.stride(tileACol), e.stride(tileBRow), e.field(tileK)
	loop, rest, tail, done := e.label("loop"), e.label("rest"), e.label("tail"), e.label("done")
	e.SUBQ(operand.U8(unroll), k)
	e.JLT(operand.LabelRef(rest))
	e.Label(loop)
	e.PREFETCHT1(operand.Mem{Base: e.next})
	e.ADDQ(operand.U8(64), e.next)
	for range unroll {
		e.step(aCol, bRow)
	}
	e.SUBQ(operand.U8(unroll), k)
	e.JGE(operand.LabelRef(loop))
	e.Label(rest)
	e.ADDQ(operand.U8(unroll), k)
	e.JEQ(operand.LabelRef(done))
	e.Label(tail)
	e.step(aCol, bRow)
	e.DECQ(k)
	e.JNE(operand.LabelRef(tail))
	e.Label(done)
}

// step adds A(., p) B(p, .) and moves on to p+1.
func (e *tileEmitter) step(aCol, bRow reg.GPVirtual) {
	var b []reg.VecVirtual
	for v := range e.vectors {
		x := e.vec()
		e.load(operand.Mem{Base: e.b, Disp: v * e.lanes * 4}, x, v == e.vectors-1)
		b = append(b, x)
	}
	e.ADDQ(bRow, e.b)
	for i := range e.m {
		a := e.broadcast(e.row(i))
		for v := range e.vectors {
			e.VFMADD231PS(a, b[v], e.acc[i][v])
		}
	}
	e.ADDQ(aCol, e.a)
}

// epilogue stores alpha times the sums, plus beta times Add.
func (e *tileEmitter) epilogue() {
	scaled, plain := e.label("scaled"), e.label("plain")
	e.CMPL(e.at(tileAlpha), operand.U32(floatOne))
	e.JEQ(operand.LabelRef(scaled))
	alpha := e.broadcast(e.at(tileAlpha))
	for i := range e.m {
		for _, x := range e.acc[i] {
			e.VMULPS(alpha, x, x)
		}
	}
	e.Label(scaled)
	beta := e.GP32()
	e.MOVL(e.at(tileBeta), beta)
	e.TESTL(operand.U32(0x7fffffff), beta)
	e.JEQ(operand.LabelRef(plain))
	e.addScaled()
	e.Label(plain)
	c, cRow := e.field(tileC), e.stride(tileCRow)
	for i := range e.m {
		for v, x := range e.acc[i] {
			e.store(x, operand.Mem{Base: c, Disp: v * e.lanes * 4}, v == e.vectors-1)
		}
		if i+1 < e.m {
			e.ADDQ(cRow, c)
		}
	}
}

func (e *tileEmitter) addScaled() {
	scale := e.broadcast(e.at(tileBeta))
	add, addRow := e.field(tileAdd), e.stride(tileAddRow)
	for i := range e.m {
		for v, x := range e.acc[i] {
			y := e.vec()
			e.load(operand.Mem{Base: add, Disp: v * e.lanes * 4}, y, v == e.vectors-1)
			e.VFMADD231PS(y, scale, x)
		}
		if i+1 < e.m {
			e.ADDQ(addRow, add)
		}
	}
}

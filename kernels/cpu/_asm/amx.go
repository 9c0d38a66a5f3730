package main

import (
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// AMX's instructions are unknown to Go's assembler and to avo, so they are
// emitted as bytes, on fixed registers.

// amxOp is an instruction on tile registers: VEX.128, map 0F38, W0.
type amxOp struct {
	name   string
	prefix byte // the pp field: 0 none, 2 F3, 3 F2
	opcode byte
}

var (
	tileConfigure = amxOp{"LDTILECFG", 0, 0x49}
	tileRelease   = amxOp{"TILERELEASE", 0, 0x49}
	tileZero      = amxOp{"TILEZERO", 3, 0x49}
	tileLoad      = amxOp{"TILELOADD", 3, 0x4b}
	tileStore     = amxOp{"TILESTORED", 2, 0x4b}
	tileDotOp     = amxOp{"TDPBF16PS", 2, 0x5c}
)

// Fixed registers, by their numbers in an instruction.
const (
	numAX, numDX, numSI = 0, 2, 6
	numR10, numR11      = 10, 11
	numR12, numR13      = 12, 13
)

// emitBytes writes the op with the ModRM byte and what follows it. base and index
// are register numbers of a memory operand or 0, vvvv the third tile or 0.
func (s *simd) emitBytes(op amxOp, base, index, vvvv byte, tail ...byte) {
	rxb := byte(0xe2) // R, X, B inverted, map 2
	if index > 7 {
		rxb &^= 0x40
	}
	if base > 7 {
		rxb &^= 0x20
	}
	s.Comment(op.name)
	for _, b := range append([]byte{0xc4, rxb, (^vvvv&15)<<3 | op.prefix, op.opcode}, tail...) {
		s.Instruction(&ir.Instruction{Opcode: "BYTE", Operands: []operand.Op{operand.U8(b)}})
	}
}

// onTile is an op on one tile, or on none.
func (s *simd) onTile(op amxOp, tile byte) { s.emitBytes(op, 0, 0, 0, 0xc0|tile<<3) }

// tileDot is c += a b, of pairs of bf16.
func (s *simd) tileDot(c, a, b byte) { s.emitBytes(tileDotOp, 0, 0, b, 0xc0|c<<3|a) }

// move loads or stores a tile at base + index*row + disp.
func (s *simd) move(op amxOp, tile, base, index byte, disp int) {
	s.emitBytes(op, base, index, 0, 0x84|tile<<3, index&7<<3|base&7,
		byte(disp), byte(disp>>8), byte(disp>>16), byte(disp>>24))
}

// Offsets of type partsBlock's fields, see parts.go and its test.
const (
	blockA        = 0
	blockB        = 24
	blockLoad     = 48
	blockStore    = 72
	blockNext     = 96
	blockAStrip   = 120
	blockLoadRow  = 128
	blockStoreRow = 136
	blockSteps    = 144
	blockStrips   = 152
)

const (
	tileBytes = 1024
	partBytes = 2 * tileBytes
	stepBytes = 3 * partBytes
	// In a step, prefetchLines of the next panel are asked for, and prefetchRows of
	// the block that is to be stored.
	prefetchLines = 16
	prefetchRows  = 2
)

// amxUnit emits the product of bf16 parts and what prepares its operands.
func amxUnit(s *simd) {
	if !s.wide {
		return
	}
	s.suffix = "AMX"
	splitRows(s)
	splitPairs(s)
	multiplyParts(s)
}

// multiplyParts emits the product of strips of A and a panel of B: 2 x 2 tiles of C,
// 2 of A and 2 of B are all eight registers.
func multiplyParts(s *simd) {
	s.function("multiplyParts", "(t *partsBlock)", "computes the blocks of some strips of A and a panel of B.")
	t := reg.RDI
	s.Load(s.Param("t"), t)
	at := func(offset int) operand.Mem { return operand.Mem{Base: t, Disp: offset} }
	s.LEAQ(s.tileShapes(), reg.RAX)
	s.emitBytes(tileConfigure, numAX, 0, 0, 0x00)
	s.MOVQ(operand.U32(64), reg.RSI)
	s.MOVQ(at(blockA), reg.R8)
	s.MOVQ(at(blockNext), reg.R9)
	for _, x := range []struct {
		pointer, row reg.Register
		from, stride int
	}{{reg.R10, reg.R11, blockLoad, blockLoadRow}, {reg.R12, reg.R13, blockStore, blockStoreRow}} {
		s.MOVQ(at(x.from), x.pointer)
		s.MOVQ(at(x.stride), x.row)
		s.SHLQ(operand.U8(2), x.row)
	}
	s.MOVQ(at(blockStrips), reg.RBX)
	s.Label("strip")
	s.startSums()
	s.MOVQ(reg.R8, reg.RAX)
	s.MOVQ(at(blockB), reg.RDX)
	s.MOVQ(at(blockSteps), reg.RCX)
	s.MOVQ(reg.R12, reg.R15)
	s.Label("step")
	s.partsStep()
	s.DECQ(reg.RCX)
	s.JNE(operand.LabelRef("step"))
	s.sums(tileStore, numR12, numR13, reg.R12, reg.R13)
	s.MOVQ(at(blockAStrip), reg.RCX)
	s.LEAQ(operand.Mem{Base: reg.R8, Index: reg.RCX, Scale: 2}, reg.R8)
	s.DECQ(reg.RBX)
	s.JNE(operand.LabelRef("strip"))
	s.onTile(tileRelease, 0)
	s.end()
}

// tileShapes is the configuration: palette 1, all eight tiles 16 rows of 64 bytes.
func (s *simd) tileShapes() operand.Mem {
	const columns, rows = 0x00400040, 0x10101010
	return s.words("tileShapes", 1, 0, 0, 0, columns, columns, columns, columns, 0, 0, 0, 0, rows, rows, 0, 0)
}

// startSums loads the sums, or clears them.
func (s *simd) startSums() {
	s.TESTQ(reg.R10, reg.R10)
	s.JEQ(operand.LabelRef("clear"))
	s.sums(tileLoad, numR10, numR11, reg.R10, reg.R11)
	s.JMP(operand.LabelRef("started"))
	s.Label("clear")
	for tile := range byte(4) {
		s.onTile(tileZero, tile)
	}
	s.Label("started")
}

// sums moves the four tiles of sums and leaves the pointer at the next strip's.
func (s *simd) sums(op amxOp, base, index byte, pointer, row reg.Register) {
	for half := range byte(2) {
		s.move(op, 2*half, base, index, 0)
		s.move(op, 2*half+1, base, index, 64)
		s.MOVQ(row, reg.RCX)
		s.SHLQ(operand.U8(4), reg.RCX)
		s.ADDQ(reg.RCX, pointer)
	}
}

// partsStep adds 32 terms: the six products of parts that a float32 can tell from
// 0, smallest first, in an order that exchanges one operand at a time.
func (s *simd) partsStep() {
	const a, b = 4, 6 // registers
	load := func(tile, base byte, part int) {
		s.move(tileLoad, tile, base, numSI, part*partBytes)
		s.move(tileLoad, tile+1, base, numSI, part*partBytes+tileBytes)
	}
	inA, inB := -1, -1
	for i, parts := range [][2]int{{0, 2}, {0, 1}, {1, 1}, {1, 0}, {2, 0}, {0, 0}} {
		if inA != parts[0] {
			inA = parts[0]
			load(a, numAX, inA)
		}
		if inB != parts[1] {
			inB = parts[1]
			load(b, numDX, inB)
		}
		s.tileDot(0, a, b)
		s.tileDot(1, a, b+1)
		s.tileDot(2, a+1, b)
		s.tileDot(3, a+1, b+1)
		for line := i; line < prefetchLines; line += 6 {
			s.PREFETCHT1(operand.Mem{Base: reg.R9, Disp: 64 * line})
		}
	}
	s.ADDQ(operand.I32(64*prefetchLines), reg.R9)
	for range prefetchRows {
		s.PREFETCHT0(operand.Mem{Base: reg.R15})
		s.PREFETCHT0(operand.Mem{Base: reg.R15, Disp: 64})
		s.ADDQ(reg.R13, reg.R15)
	}
	s.ADDQ(operand.I32(stepBytes), reg.RAX)
	s.ADDQ(operand.I32(stepBytes), reg.RDX)
}

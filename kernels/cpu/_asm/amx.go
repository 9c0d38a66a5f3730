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
	blockUnits    = 160
	blockPacked   = 184
	blockSource   = 208
	blockStride   = 232
)

// Offsets of type splitUnit's fields.
const (
	unitTo   = 0
	unitFrom = 8
	unitPair = 16
	unitSize = 24
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
	splitUnits(s)
	multiply(s, "multiplyParts", [][2]int{{0, 2}, {0, 1}, {1, 1}, {1, 0}, {2, 0}, {0, 0}})
	multiply(s, "multiplyLeading", [][2]int{{0, 1}, {0, 0}, {1, 0}})
}

// partsMultiplier emits a multiplier. Beside the engine's operands it keeps the units
// that are packed meanwhile.
type partsMultiplier struct {
	splitter
	products [][2]int // parts of A and of B, in an order that exchanges one operand at a time
	// On the stack: the next sums to load, the strips left, the end of the units, and
	// the distance of rows that units read, in bytes.
	load, strips, unitsEnd, stride operand.Mem
}

// atBlock is a field of the partsBlock that DI points to.
func atBlock(offset int) operand.Mem { return operand.Mem{Base: reg.RDI, Disp: offset} }

// multiply emits the product of strips of A and a panel of B: 2 x 2 tiles of C, 2 of A
// and 2 of B are all eight registers. While the engine multiplies, for 64 cycles a product of
// parts, the vector units cut a unit of floats into parts.
func multiply(s *simd, name string, products [][2]int) {
	s.function(name, "(t *partsBlock)", "computes the blocks of some strips of A and a panel of B, and packs a unit a step.")
	local := s.AllocLocal(32)
	m := partsMultiplier{products: products, load: local, strips: local.Offset(8), unitsEnd: local.Offset(16), stride: local.Offset(24)}
	s.Load(s.Param("t"), reg.RDI)
	m.splitter = s.splitter()
	s.LEAQ(s.tileShapes(), reg.RAX)
	s.emitBytes(tileConfigure, numAX, 0, 0, 0x00)
	s.MOVQ(operand.U32(64), reg.RSI)
	m.loadFields()
	s.Label("strip")
	m.startSums()
	s.MOVQ(reg.R8, reg.RAX)
	s.MOVQ(atBlock(blockB), reg.RDX)
	s.MOVQ(atBlock(blockSteps), reg.RCX)
	s.MOVQ(reg.R12, reg.R15)
	s.Label("step")
	s.CMPQ(reg.R14, m.unitsEnd)
	s.JEQ(operand.LabelRef("plain"))
	m.nextUnit()
	m.step(m.splitRows)
	s.JMP(operand.LabelRef("stepped"))
	s.Label("plain")
	m.step(func(int) {})
	s.Label("stepped")
	s.DECQ(reg.RCX)
	s.JNE(operand.LabelRef("step"))
	s.sums(tileStore, numR12, numR13, reg.R12, reg.R13)
	s.MOVQ(atBlock(blockAStrip), reg.RCX)
	s.LEAQ(operand.Mem{Base: reg.R8, Index: reg.RCX, Scale: 2}, reg.R8)
	s.DECQ(m.strips)
	s.JNE(operand.LabelRef("strip"))
	s.onTile(tileRelease, 0)
	s.end()
}

// loadFields fills registers and stack from the block.
func (m *partsMultiplier) loadFields() {
	m.MOVQ(atBlock(blockA), reg.R8)
	m.MOVQ(atBlock(blockNext), reg.R9)
	m.MOVQ(atBlock(blockStore), reg.R12)
	m.MOVQ(atBlock(blockStoreRow), reg.R13)
	m.SHLQ(operand.U8(2), reg.R13)
	for _, x := range []struct {
		from int
		to   operand.Mem
	}{{blockLoad, m.load}, {blockStrips, m.strips}} {
		m.MOVQ(atBlock(x.from), reg.RAX)
		m.MOVQ(reg.RAX, x.to)
	}
	m.MOVQ(atBlock(blockStride), reg.RAX)
	m.SHLQ(operand.U8(2), reg.RAX)
	m.MOVQ(reg.RAX, m.stride)
	m.MOVQ(atBlock(blockUnits), reg.R14)
	m.IMUL3Q(operand.U8(unitSize), atBlock(blockUnits+8), reg.RAX)
	m.ADDQ(reg.R14, reg.RAX)
	m.MOVQ(reg.RAX, m.unitsEnd)
}

// nextUnit puts the unit's addresses into R10 (floats), BX (how far the other half of
// each pair is, in bytes) and R11 (parts).
func (m *partsMultiplier) nextUnit() {
	m.MOVQ(operand.Mem{Base: reg.R14, Disp: unitTo}, reg.RBX)
	m.MOVQ(atBlock(blockPacked), reg.R11)
	m.LEAQ(operand.Mem{Base: reg.R11, Index: reg.RBX, Scale: 2}, reg.R11)
	m.MOVQ(operand.Mem{Base: reg.R14, Disp: unitFrom}, reg.RBX)
	m.MOVQ(atBlock(blockSource), reg.R10)
	m.LEAQ(operand.Mem{Base: reg.R10, Index: reg.RBX, Scale: 4}, reg.R10)
	m.MOVQ(operand.Mem{Base: reg.R14, Disp: unitPair}, reg.RBX)
	m.SHLQ(operand.U8(2), reg.RBX)
	m.ADDQ(operand.I8(unitSize), reg.R14)
}

// unitRows are the rows of a unit.
const unitRows = 16

// splitRows packs the unit's rows that are due beside the step's instruction i.
func (m *partsMultiplier) splitRows(i int) {
	slots := 3 * len(m.products)
	each := (unitRows + slots - 1) / slots
	for row := i * each; row < min(i*each+each, unitRows); row++ {
		m.splitRow(row)
	}
}

// splitRow packs row i of the unit.
func (m *partsMultiplier) splitRow(i int) {
	low, high := m.copy(operand.Mem{Base: reg.R10}), m.copy(operand.Mem{Base: reg.R10, Index: reg.RBX, Scale: 1})
	m.store(low, high, operand.Mem{Base: reg.R11, Disp: 64 * i})
	m.ADDQ(m.stride, reg.R10)
}

// splitUnits emits the packing of units alone.
func splitUnits(s *simd) {
	s.function("splitUnits", "(t *partsBlock)", "packs the units of a block that is not to be multiplied.")
	local := s.AllocLocal(32)
	m := partsMultiplier{load: local, strips: local.Offset(8), unitsEnd: local.Offset(16), stride: local.Offset(24)}
	s.Load(s.Param("t"), reg.RDI)
	m.splitter = s.splitter()
	m.loadFields()
	s.Label("unit")
	s.CMPQ(reg.R14, m.unitsEnd)
	s.JEQ(operand.LabelRef("packed"))
	m.nextUnit()
	for i := range unitRows {
		m.splitRow(i)
	}
	s.JMP(operand.LabelRef("unit"))
	s.Label("packed")
	s.end()
}

// tileShapes is the configuration: palette 1, all eight tiles 16 rows of 64 bytes.
func (s *simd) tileShapes() operand.Mem {
	const columns, rows = 0x00400040, 0x10101010
	return s.words("tileShapes", 1, 0, 0, 0, columns, columns, columns, columns, 0, 0, 0, 0, rows, rows, 0, 0)
}

// startSums loads the sums, or clears them.
func (m *partsMultiplier) startSums() {
	m.MOVQ(m.load, reg.R10)
	m.TESTQ(reg.R10, reg.R10)
	m.JEQ(operand.LabelRef("clear"))
	m.MOVQ(atBlock(blockLoadRow), reg.R11)
	m.SHLQ(operand.U8(2), reg.R11)
	m.sums(tileLoad, numR10, numR11, reg.R10, reg.R11)
	m.MOVQ(reg.R10, m.load)
	m.JMP(operand.LabelRef("started"))
	m.Label("clear")
	for tile := range byte(4) {
		m.onTile(tileZero, tile)
	}
	m.Label("started")
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

// step adds 32 terms. beside is called between the engine's instructions, to emit others.
func (m *partsMultiplier) step(beside func(i int)) {
	const a, b = 4, 6 // registers
	load := func(tile, base byte, part int) {
		m.move(tileLoad, tile, base, numSI, part*partBytes)
		m.move(tileLoad, tile+1, base, numSI, part*partBytes+tileBytes)
	}
	inA, inB := -1, -1
	for i, parts := range m.products {
		if inA != parts[0] {
			inA = parts[0]
			load(a, numAX, inA)
		}
		if inB != parts[1] {
			inB = parts[1]
			load(b, numDX, inB)
		}
		for c := range byte(4) {
			m.tileDot(c, a+c/2, b+c%2)
			if c < 3 {
				beside(3*i + int(c))
			}
		}
		for line := i; line < prefetchLines; line += len(m.products) {
			m.PREFETCHT1(operand.Mem{Base: reg.R9, Disp: 64 * line})
		}
	}
	m.ADDQ(operand.I32(64*prefetchLines), reg.R9)
	for range prefetchRows {
		m.PREFETCHT0(operand.Mem{Base: reg.R15})
		m.PREFETCHT0(operand.Mem{Base: reg.R15, Disp: 64})
		m.ADDQ(reg.R13, reg.R15)
	}
	m.ADDQ(operand.I32(stepBytes), reg.RAX)
	m.ADDQ(operand.I32(stepBytes), reg.RDX)
}

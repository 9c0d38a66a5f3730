package cpu

// Products on a matrix engine that multiplies bfloat16 and adds float32 (AMX).
//
// A float32 has 24 bits of significand, a bfloat16 has 8: x = x0 + x1 + x2 with
// three bfloat16, without a remainder, and
//
//	x y = x0 y0 + (x0 y1 + x1 y0) + (x0 y2 + x1 y1 + x2 y0)    within 2^-24 |x y|
//
// so six products on the engine give what a float32 product gives, and their sum
// in float32 is as good as a sum of float32 products. Only the range is smaller:
// numbers below 2^-109 or so lose digits, for parts of them are denormals, which
// the engine takes as 0; and an infinite operand gives NaN.
//
// Half as many products, those of the leading two parts of each but for x1 y1, give
//
//	x y = x0 y0 + (x0 y1 + x1 y0)    within 2^-14 |x y|, and 2^-18 in the mean
//
// Operands are packed: op(A) in strips of 32 rows, op(B) in panels of 32 columns,
// padded with zeros, 32 terms (a step) after the other. A step has three parts, a part two
// tiles of 16 rows of 64 bytes: a row of A, or 16 columns of B, in pairs of terms. Pair
// p of a step is its terms p and p+16, for so both are easily packed.
const (
	partsEdge = 32                        // rows of a strip, columns of a panel, terms of a step
	partsStep = 3 * partsEdge * partsEdge // bfloat16s of a strip's or a panel's step
)

// engine is the machine-specific half. Each works on whole steps.
type engine struct {
	// multiply computes the blocks of some strips and one panel.
	multiply func(t *partsBlock)
	// multiplyLeading does so with the leading parts.
	multiplyLeading func(t *partsBlock)
	// split packs the units of a block that is not to be multiplied.
	split func(t *partsBlock)
	// rows packs 16 rows of A: half of a strip.
	rows func(dst []uint16, src []float32, stride, steps int)
	// pairs packs one step of panels of B.
	pairs func(dst []uint16, panelStride int, src []float32, stride, panels int)
}

// partsBlock is one call of engine.multiply: for each of the strips, a 32 x 32 block
//
//	Store = Load + A B
//
// over steps of 32 terms; Load nil is 0. The blocks of successive strips are 32 rows
// apart, loadRow and storeRow are the distances of rows. next is memory to prefetch.
//
// The assembly reads these fields at the offsets checked in parts_test.go.
type partsBlock struct {
	a, b              []uint16
	load, store       []float32
	next              []uint16
	aStrip            int
	loadRow, storeRow int
	steps, strips     int

	units        []splitUnit
	packed       []uint16
	source       []float32
	sourceStride int
}

// splitUnit is half a step of a strip or of a panel: 16 rows, or 16 columns. Row i of it is
// written to packed[to:] from 16 floats at source[from + i*sourceStride] and as many pair
// floats after them.
type splitUnit struct{ to, from, pair int }

// stepsOf is the number of steps that k terms take.
func stepsOf(k int) int { return ceilDiv(k, partsEdge) }

// stageFloats is what packing a strip or panel of k terms needs to lay out first.
func stageFloats(k int) int { return partsEdge * stageStride(stepsOf(k)*partsEdge) }

// stageStride is a distance of rows that do not share cache sets.
func stageStride(cols int) int { return cols + cacheLine/4 }

// packStrips packs alpha times m x k elements of op(A), whose first is src[0], to strips aStrip
// apart. stage has room for stageFloats(k).
func (e *engine) packStrips(set *kernelSet, dst []uint16, aStrip int, src []float32, stride int, trans bool, m, k int, alpha float32, stage []float32) {
	for i := 0; i < m; i += partsEdge {
		rows, from, ld := min(partsEdge, m-i), stage, stageStride(stepsOf(k)*partsEdge)
		switch {
		case trans:
			clearPadding(stage, ld, rows, k)
			packTransposed(set, stage, ld, src[i:], stride, k, rows)
		case rows < partsEdge || k%partsEdge != 0 || alpha != 1:
			clearPadding(stage, ld, rows, k)
			packRows(stage, ld, src[i*stride:], stride, rows, k)
		default:
			from, ld = src[i*stride:], stride
		}
		if alpha != 1 {
			set.combine(stage[:partsEdge*ld], stage, stage, alpha, 0)
		}
		e.packBlock(dst[i/partsEdge*aStrip:], from, ld, stepsOf(k))
	}
}

// packBlock packs a strip of 32 whole rows of steps*32 terms.
func (e *engine) packBlock(dst []uint16, src []float32, stride, steps int) {
	e.rows(dst, src, stride, steps)
	e.rows(dst[partsStep/6:], src[partsEdge/2*stride:], stride, steps)
}

// panelStage is the distance of rows in a stage of one panel.
const panelStage = partsEdge + cacheLine/4

// packPanels packs up to 32 terms (rows) of n columns to one step of panels bPanel apart.
func (e *engine) packPanels(dst []uint16, bPanel int, src []float32, stride, k, n int, stage []float32) {
	whole := n / partsEdge
	if k < partsEdge {
		whole = 0
	}
	if whole > 0 {
		e.pairs(dst, bPanel, src, stride, whole)
	}
	for j := whole * partsEdge; j < n; j += partsEdge {
		cols := min(partsEdge, n-j)
		clearPadding(stage, panelStage, k, cols)
		packRows(stage, panelStage, src[j:], stride, k, cols)
		e.pairs(dst[j/partsEdge*bPanel:], 0, stage, panelStage, 1)
	}
}

// packPanelTransposed packs k terms of up to 32 columns, which are rows of src, to a
// panel.
func (e *engine) packPanelTransposed(set *kernelSet, dst []uint16, src []float32, stride, k, n int, stage []float32) {
	for p := 0; p < k; p += partsEdge {
		terms := min(partsEdge, k-p)
		clearPadding(stage, panelStage, terms, n)
		packTransposed(set, stage, panelStage, src[p:], stride, n, terms)
		e.pairs(dst[p/partsEdge*partsStep:], 0, stage, panelStage, 1)
	}
}

// clearPadding clears what 32 rows have beyond rows x cols, up to the next multiple of
// 32 columns.
func clearPadding(stage []float32, ld, rows, cols int) {
	end := stepsOf(cols) * partsEdge
	for i := range rows {
		clear(stage[i*ld+cols : i*ld+end])
	}
	for i := rows; i < partsEdge; i++ {
		clear(stage[i*ld : i*ld+end])
	}
}

package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"parallax/kernels"
)

// The assembly has these offsets as constants.
func TestPartsBlockLayout(t *testing.T) {
	var x partsBlock
	got := []uintptr{unsafe.Offsetof(x.a), unsafe.Offsetof(x.b), unsafe.Offsetof(x.load), unsafe.Offsetof(x.store), unsafe.Offsetof(x.next),
		unsafe.Offsetof(x.aStrip), unsafe.Offsetof(x.loadRow), unsafe.Offsetof(x.storeRow), unsafe.Offsetof(x.steps), unsafe.Offsetof(x.strips),
		unsafe.Offsetof(x.units), unsafe.Offsetof(x.packed), unsafe.Offsetof(x.source), unsafe.Offsetof(x.sourceStride)}
	want := []uintptr{0, 24, 48, 72, 96, 120, 128, 136, 144, 152, 160, 184, 208, 232}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("fields of partsBlock at %v, the assembly reads them at %v", got, want)
	}
}

// forEachEngine runs f for the kernel sets that multiply in parts.
func forEachEngine(t *testing.T, f func(t *testing.T, set *kernelSet)) {
	for _, set := range setsWithTwin() {
		if set.engine != nil {
			t.Run(set.key, func(t *testing.T) { f(t, set) })
		}
	}
}

// part is part i of element (row, term) of a packed strip, or of (term, column) of a
// panel: the layout that parts.go states, written down a second time.
func stripPart(strip []uint16, i, row, term int) float32 {
	return fromBits(strip[term/32*partsStep+i*1024+row*32+term%16*2+term%32/16])
}

func panelPart(panel []uint16, i, term, col int) float32 {
	return fromBits(panel[term/32*partsStep+i*1024+col/16*512+term%16*32+col%16*2+term%32/16])
}

func fromBits(x uint16) float32 { return math.Float32frombits(uint32(x) << 16) }

// magnitudes are random floats over the range in which three parts hold all digits.
func magnitudes(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(math.Ldexp(2*rng.Float64()-1, rng.IntN(220)-100))
	}
	return x
}

// The three parts of an operand add up to it, whichever way it is packed, and its padding
// is 0.
func TestPartsAreExact(t *testing.T) {
	const m, k, steps = 45, 70, 3
	forEachEngine(t, func(t *testing.T, set *kernelSet) {
		src := magnitudes(rand.New(rand.NewPCG(1, 2)), m*k)
		plain := func(i, p int) float32 { return src[i*k+p] }
		turned := func(i, p int) float32 { return src[p*m+i] }
		for _, c := range []struct {
			name  string
			trans bool
			at    func(i, p int) float32
		}{{"strips", false, plain}, {"strips of a transposed", true, turned}} {
			packed, ld := make([]uint16, 2*steps*partsStep), k
			if c.trans {
				ld = m
			}
			set.engine.packStrips(set, packed, steps*partsStep, src, ld, c.trans, m, k, 1, alignedFloats(stageFloats(k)))
			checkParts(t, c.name, m, k, c.at, func(part, i, p int) float32 {
				return stripPart(packed[i/32*steps*partsStep:], part, i%32, p)
			})
		}
		for p := 0; p < k; p += partsEdge { // a panel's columns are rows of src, or columns
			packed := make([]uint16, 2*partsStep)
			terms := min(partsEdge, k-p)
			set.engine.packPanels(packed, partsStep, src[p*m:], m, terms, m, alignedFloats(stageFloats(partsEdge)))
			checkParts(t, "panels", m, terms, func(i, q int) float32 { return src[(p+q)*m+i] },
				func(part, i, q int) float32 { return panelPart(packed[i/32*partsStep:], part, q, i%32) })
		}
		packed := make([]uint16, steps*partsStep)
		set.engine.packPanelTransposed(set, packed, src, k, k, 20, alignedFloats(stageFloats(partsEdge)))
		checkParts(t, "a panel of a transposed", 20, k, plain, func(part, i, q int) float32 { return panelPart(packed, part, q, i) })
	})
}

// checkParts compares the sums of parts with m x k elements, up to whole blocks.
func checkParts(t *testing.T, name string, m, k int, want func(i, p int) float32, part func(part, i, p int) float32) {
	t.Helper()
	for i := range ceilDiv(m, partsEdge) * partsEdge {
		for p := range stepsOf(k) * partsEdge {
			x := float32(0)
			if i < m && p < k {
				x = want(i, p)
			}
			if got := float64(part(0, i, p)) + float64(part(1, i, p)) + float64(part(2, i, p)); got != float64(x) {
				t.Fatalf("%s: the parts of element (%d, %d) add up to %g, not %g", name, i, p, got, x)
			}
			if part(0, i, p) == 0 && x != 0 {
				t.Fatalf("%s: the first part of %g is 0", name, x)
			}
		}
	}
}

// A product in parts is as close to the exact one as a product of float32.
func TestPartsLoseNoDigits(t *testing.T) {
	const m, n, k = 70, 90, 500
	forEachEngine(t, func(t *testing.T, set *kernelSet) {
		float, err := chooseKernels("avx512")
		if err != nil {
			t.Fatal(err)
		}
		rms := map[string]float64{}
		for _, s := range []*kernelSet{set, float} {
			b := openSet(s, 2)
			d := newDevice(t, b)
			op := kernels.MatMul{A: d.inMat(m, k), B: d.inMat(k, n), C: d.inMat(m, n), Alpha: 1}
			b.MatMul(op)
			rms[s.key] = relativeError(view(op.A), view(op.B), view(op.C))
			b.Close()
		}
		if rms[set.key] > 1.2*rms[float.key] || rms[set.key] == 0 {
			t.Errorf("relative RMS error %.2g, of float32 %.2g", rms[set.key], rms[float.key])
		}
	})
}

// The leading parts lose what they must and no more.
func TestLeadingParts(t *testing.T) {
	const k = 300
	forEachEngine(t, func(t *testing.T, set *kernelSet) {
		b := openSet(set, 1)
		defer b.Close()
		d, e := newDevice(t, b), set.engine
		x, y := view(d.inMat(partsEdge, k)), view(d.inMat(k, partsEdge))
		strip, panel := make([]uint16, stepsOf(k)*partsStep), make([]uint16, stepsOf(k)*partsStep)
		stage := alignedFloats(stageFloats(k))
		e.packStrips(set, strip, 0, x.data, x.stride, false, partsEdge, k, 1, stage)
		for p := 0; p < k; p += partsEdge {
			e.packPanels(panel[p/partsEdge*partsStep:], 0, y.data[p*y.stride:], y.stride, min(partsEdge, k-p), partsEdge, stage)
		}
		c := matrix{data: alignedFloats(partsEdge * partsEdge), rows: partsEdge, cols: partsEdge, stride: partsEdge}
		e.multiplyLeading(&partsBlock{a: strip, b: panel, store: c.data, storeRow: partsEdge, steps: stepsOf(k), strips: 1})
		if got := relativeError(x, y, c); got > 1.5/(1<<18) || got < 0.5/(1<<18) {
			t.Errorf("relative RMS error %.2g, want about %.2g", got, 1.0/(1<<18))
		}
	})
}

// relativeError is the relative RMS error of c = a b.
func relativeError(a, b, c matrix) float64 {
	var diff, size float64
	for i := range c.rows {
		for j := range c.cols {
			var sum float64
			for p := range a.cols {
				sum += float64(a.row(i)[p]) * float64(b.row(p)[j])
			}
			diff += (sum - float64(c.row(i)[j])) * (sum - float64(c.row(i)[j]))
			size += sum * sum
		}
	}
	return math.Sqrt(diff / size)
}

// The engine writes nothing around a block, reads nothing there into a result, and an
// element is the same whatever the shape around it.
func TestPartsBlocks(t *testing.T) {
	forEachEngine(t, func(t *testing.T, set *kernelSet) {
		b := openSet(set, 2)
		defer b.Close()
		d := newDevice(t, b)
		const big, k = 130, 75
		a, x, whole := d.inMat(big, k), d.inMat(k, big), d.inMat(big, big)
		b.MatMul(kernels.MatMul{A: a, B: x, C: whole, Alpha: 0.5})
		for _, size := range [][2]int{{24, 24}, {32, 33}, {95, 64}, {96, 31}, {129, 70}} {
			m, n := size[0], size[1]
			c := d.inMat(m+1, n+3)
			for i := range view(c).data {
				view(c).data[i] = nan32
			}
			part := c.Columns(0, n)
			part.Rows = m
			rows := a
			rows.Rows = m
			b.MatMul(kernels.MatMul{A: rows, B: x.Columns(0, n), C: part, Alpha: 0.5})
			for i, v := range view(c).data {
				row, col := i/(n+3), i%(n+3)
				inside := row < m && col < n
				if inside && v != view(whole).row(row)[col] || !inside && v == v {
					t.Fatalf("%dx%d: element (%d, %d) is %v", m, n, row, col, v)
				}
			}
		}
	})
}

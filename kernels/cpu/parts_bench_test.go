package cpu

import "testing"

// BenchmarkEngine is the engine alone on operands in L1, and its packing of a
// strip of rows and of a panel of pairs.
func BenchmarkEngine(b *testing.B) {
	const steps, calls = 4, 100
	const k = steps * partsEdge
	for _, set := range availableSets() {
		if set.engine == nil {
			continue
		}
		e := set.engine
		strip, panel := words(alignedFloats(steps*partsStep/2)), words(alignedFloats(steps*partsStep/2))
		x, c := alignedFloats(partsEdge*stageStride(k)), alignedFloats(partsEdge*partsEdge)
		t := &partsBlock{a: strip, b: panel, store: c, storeRow: partsEdge, steps: steps, strips: 1}
		b.Run(set.key+"/multiply", func(b *testing.B) {
			measure(b, 2*calls*partsEdge*partsEdge*k, func() {
				for range calls {
					e.multiply(t)
				}
			})
		})
		b.Run(set.key+"/multiplyLeading", func(b *testing.B) {
			measure(b, 2*calls*partsEdge*partsEdge*k, func() {
				for range calls {
					e.multiplyLeading(t)
				}
			})
		})
		b.Run(set.key+"/rows", func(b *testing.B) {
			b.SetBytes(4 * partsEdge * k / 2)
			for b.Loop() {
				e.rows(strip, x, stageStride(k), steps)
			}
		})
		b.Run(set.key+"/pairs", func(b *testing.B) {
			b.SetBytes(4 * partsEdge * partsEdge)
			for b.Loop() {
				e.pairs(panel, 0, x, partsEdge, 1)
			}
		})
	}
}

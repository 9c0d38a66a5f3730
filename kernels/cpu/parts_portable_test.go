package cpu

import (
	"math"
	"testing"
)

// The portable engine: what the tile registers do, by their manual, so that products in
// parts are tested on machines without.

var enginePortable = engine{multiply: multiplyPortable, multiplyLeading: multiplyLeadingPortable,
	split: splitUnitsPortable, rows: splitRowsPortable, pairs: splitPairsPortable}

// setsWithTwin are the sets that this machine can run, and one with the portable engine,
// which wants panels as wide as the engine's, unless time is short.
func setsWithTwin() []*kernelSet {
	sets := availableSets()
	for _, set := range sets {
		if set.nr == partsEdge && !testing.Short() {
			twin := *set
			twin.key, twin.name, twin.engine = "parts", "parts", &enginePortable
			return append(sets, &twin)
		}
	}
	return sets
}

// Sizes in bfloat16s.
const (
	tileWords = partsEdge / 2 * partsEdge
	partWords = 2 * tileWords
)

// cutPortable is the parts of x.
func cutPortable(x float32) (parts [3]uint16) {
	for i := range 2 {
		parts[i] = uint16((math.Float32bits(x) + 0x8000) >> 16)
		x -= fromBits(parts[i])
	}
	parts[2] = uint16(math.Float32bits(x) >> 16)
	return parts
}

func putParts(dst []uint16, x float32) {
	for i, part := range cutPortable(x) {
		dst[i*partWords] = part
	}
}

func splitRowsPortable(dst []uint16, src []float32, stride, steps int) {
	for row := range partsEdge / 2 {
		for term, x := range src[row*stride:][:steps*partsEdge] {
			putParts(dst[term/partsEdge*partsStep+row*partsEdge+pairOf(term%partsEdge):], x)
		}
	}
}

func splitPairsPortable(dst []uint16, panelStride int, src []float32, stride, panels int) {
	for term := range partsEdge {
		for col, x := range src[term*stride:][:panels*partsEdge] {
			at := col/partsEdge*panelStride + col%partsEdge/16*tileWords
			putParts(dst[at+term%16*partsEdge+col%16*2+term/16:], x)
		}
	}
}

// pairOf is where a term of a step is in a row: its terms p and p+16 are a pair.
func pairOf(term int) int { return term%16*2 + term/16 }

func splitUnitsPortable(t *partsBlock) { packUnits(t, len(t.units)) }

func packUnits(t *partsBlock, n int) {
	for _, u := range t.units[:n] {
		for i := range 16 {
			for j := range 16 {
				from := t.source[u.from+i*t.sourceStride+j:]
				to := t.packed[u.to+i*partsEdge+2*j:]
				putParts(to, from[0])
				putParts(to[1:], from[u.pair])
			}
		}
	}
}

func multiplyPortable(t *partsBlock) {
	t.multiply([][2]int{{0, 2}, {0, 1}, {1, 1}, {1, 0}, {2, 0}, {0, 0}})
}

func multiplyLeadingPortable(t *partsBlock) { t.multiply([][2]int{{0, 1}, {0, 0}, {1, 0}}) }

func (t *partsBlock) multiply(products [][2]int) {
	packUnits(t, min(len(t.units), t.steps*t.strips))
	for strip := range t.strips {
		for tile := range 4 {
			var c [16][16]float32
			i, j := tile/2*16, tile%2*16
			for row := range c {
				if t.load != nil {
					copy(c[row][:], t.load[(strip*partsEdge+i+row)*t.loadRow+j:])
				}
			}
			for step := range t.steps {
				for _, p := range products {
					tileDot(&c, t.a[strip*t.aStrip+step*partsStep+p[0]*partWords+i/16*tileWords:], t.b[step*partsStep+p[1]*partWords+j/16*tileWords:])
				}
			}
			for row := range c {
				copy(t.store[(strip*partsEdge+i+row)*t.storeRow+j:][:16], c[row][:])
			}
		}
	}
}

// tileDot is TDPBF16PS: even and odd terms are summed apart, then together, then to c.
// Denormals are 0.
func tileDot(c *[16][16]float32, a, b []uint16) {
	var x [16][32]float32
	for pair := range x {
		for i := range x[pair] {
			x[pair][i] = flush(fromBits(b[pair*partsEdge+i]))
		}
	}
	for row := range c {
		var sums [32]float32
		for pair := range x {
			even, odd := flush(fromBits(a[row*partsEdge+2*pair])), flush(fromBits(a[row*partsEdge+2*pair+1]))
			for n := 0; n < 32; n += 2 {
				sums[n] = flush(sums[n] + even*x[pair][n])
				sums[n+1] = flush(sums[n+1] + odd*x[pair][n+1])
			}
		}
		for n := range c[row] {
			c[row][n] = flush(c[row][n] + flush(sums[2*n]+sums[2*n+1]))
		}
	}
}

// flush is x, or 0 for a denormal.
func flush(x float32) float32 {
	if math.Float32bits(x)&0x7f800000 == 0 {
		return 0
	}
	return x
}

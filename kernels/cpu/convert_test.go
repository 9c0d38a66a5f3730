package cpu

import (
	"math"
	"testing"

	"parallax/kernels"
)

// Every upper half of a float32, with lower halves around the ties: rounding to
// nearest even, infinities, NaN and denormals as kernels.ToBF16 has them.
func TestBF16(t *testing.T) {
	var src []float32
	for top := range uint32(1 << 16) {
		for _, low := range []uint32{0, 1, 0x7fff, 0x8000, 0x8001, 0xffff} {
			src = append(src, math.Float32frombits(top<<16|low))
		}
	}
	src = src[:len(src)-3] // no multiple of a vector
	for _, set := range availableSets() {
		narrow, wide := make([]uint16, len(src)), make([]float32, len(src))
		toBF16(set, narrow, src)
		fromBF16(set, wide, narrow)
		for i, x := range src {
			if want := kernels.ToBF16(x); narrow[i] != want {
				t.Fatalf("%s: %#x becomes %#x, want %#x", set.name, math.Float32bits(x), narrow[i], want)
			}
			if math.Float32bits(wide[i]) != uint32(narrow[i])<<16 {
				t.Fatalf("%s: %#x widens to %#x", set.name, narrow[i], math.Float32bits(wide[i]))
			}
		}
	}
}

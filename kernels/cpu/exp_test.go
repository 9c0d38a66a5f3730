package cpu

import (
	"math"
	"testing"
)

// A float32 in 6211 in the range on which expMaxRelError is stated, and the
// ends, for the scalar function and every vector version.
func TestExpErrorBound(t *testing.T) {
	for _, set := range availableSets() {
		var worst, at float64
		const chunk = 1 << 12
		x, y, zero := make([]float32, 0, chunk), make([]float32, chunk), make([]float32, chunk)
		check := func() {
			copy(y, x)
			set.scaledExp(y[:len(x)], zero[:len(x)], 1)
			for i, v := range x {
				want := math.Exp(float64(v))
				if e := math.Abs(float64(y[i])-want) / want; !(e <= worst) {
					worst, at = e, float64(v)
				}
			}
			x = x[:0]
		}
		for _, end := range []float32{expMin, expMax} {
			for bits := uint32(0); bits <= math.Float32bits(end)&^(1<<31); bits += 6211 {
				if x = append(x, float32(math.Copysign(float64(math.Float32frombits(bits)), float64(end)))); len(x) == chunk {
					check()
				}
			}
			x = append(x, end)
			check()
		}
		if !(worst <= expMaxRelError) {
			t.Errorf("%s: relative error %.3g at %v, the bound is %.3g", set.name, worst, at, expMaxRelError)
		}
	}
}

func TestExpBeyondItsRange(t *testing.T) {
	inf := float32(math.Inf(1))
	in := []float32{-inf, -1000, math.Nextafter32(expMin, -inf), expMax, 1000, inf, nan32, 0}
	for _, set := range availableSets() {
		got := append([]float32(nil), in...)
		set.scaledExp(got, make([]float32, len(got)), 1)
		top := got[3]
		want := []float32{0, 0, 0, top, top, top, nan32, 1}
		for i := range want {
			if got[i] != want[i] && (got[i] == got[i] || want[i] == want[i]) {
				t.Errorf("%s: exp(%v) = %v, want %v", set.name, in[i], got[i], want[i])
			}
		}
	}
}

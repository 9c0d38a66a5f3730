package kernels

import (
	"math"
	"testing"
)

func TestPeakExponent(t *testing.T) {
	for _, test := range []struct {
		g    float64
		want int
	}{
		{0, -126}, {1, 1}, {0.99, 0}, {0.5, 0}, {1024, 11}, {0x1p-126, -125}, {0x1p-140, -126},
		{math.MaxFloat32, 128}, {math.Inf(1), NotFinite}, {math.NaN(), NotFinite},
	} {
		got := PeakExponent(int32(math.Float32bits(float32(test.g))))
		if got != test.want {
			t.Errorf("the exponent of %v is %d, want %d", test.g, got, test.want)
		}
		if got < NotFinite && !(test.g < math.Ldexp(1, got)) {
			t.Errorf("%v is not below 2^%d", test.g, got)
		}
	}
}

func TestFixedPoint(t *testing.T) {
	f := FixedPoint{Bits: 20, Exponent: -3}
	if f.Unit() != 0x1p-23 || float64(f.Limit()+1)*f.Unit() != 0x1p-3 {
		t.Errorf("20 bits below 2^-3: unit %v, limit %d", f.Unit(), f.Limit())
	}
	for bits := 1; bits <= 31; bits++ {
		limit := FixedPoint{Bits: bits}.Limit()
		next := math.Nextafter32(float32(math.Ldexp(1, bits)), 0)
		if want := int64(math.Floor(float64(next))); int64(limit) != want {
			t.Errorf("the limit of %d bits is %d, want %d", bits, limit, want)
		}
	}
}

package kernels

import (
	"math"
	"testing"
)

func TestDTypes(t *testing.T) {
	for dt, want := range map[DType]struct {
		size int
		name string
	}{F32: {4, "float32"}, F64: {8, "float64"}, BF16: {2, "bfloat16"}, I32: {4, "int32"}} {
		if dt.Size() != want.size || dt.String() != want.name {
			t.Errorf("%v has size %d, want %s of %d", dt, dt.Size(), want.name, want.size)
		}
	}
	if got := DType(99).String(); got != "dtype(99)" {
		t.Errorf("an unknown type is called %q", got)
	}
	wantPanic(t, "unknown dtype 99", func() { DType(99).Size() })
}

func TestBytesAndCast(t *testing.T) {
	x := []float32{1, 2, 3}
	b := Bytes(x)
	if len(b) != 12 {
		t.Fatalf("3 float32 are %d bytes", len(b))
	}
	y := Cast[float32](b)
	if y[1] = 7; len(y) != 3 || x[1] != 7 {
		t.Errorf("Cast(Bytes(x)) has %d elements and does not share x's memory: %v", len(y), x)
	}
	if Bytes([]int32{}) != nil || Cast[float64](nil) != nil {
		t.Error("nothing is not viewed as nothing")
	}
	wantPanic(t, "7 bytes cannot be viewed as float32", func() { Cast[float32](b[:7]) })
	wantPanic(t, "8 bytes cannot be viewed as float32", func() { Cast[float32](b[1:9]) })
}

func TestToBF16(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, test := range []struct {
		x    uint32 // float32 bits
		want uint16
	}{
		{0x3f800000, 0x3f80}, // 1
		{0x3f807fff, 0x3f80}, // below the tie
		{0x3f808000, 0x3f80}, // tie, to even
		{0x3f808001, 0x3f81}, // above it
		{0x3f818000, 0x3f82}, // tie, to even
		{0x3fffffff, 0x4000}, // carries into the exponent
		{0x7f7fffff, 0x7f80}, // overflows to infinity
		{0xff7f7fff, 0xff7f}, // the largest that does not
		{0x00008000, 0x0000}, // subnormal tie
		{0x00018000, 0x0002},
		{0x80000000, 0x8000}, // -0
		{math.Float32bits(inf), 0x7f80},
		{math.Float32bits(-inf), 0xff80},
	} {
		if got := ToBF16(math.Float32frombits(test.x)); got != test.want {
			t.Errorf("ToBF16(%#08x) = %#04x, want %#04x", test.x, got, test.want)
		}
	}
	for _, bits := range []uint32{0x7f800001, 0xff80ffff, 0x7fc00000, 0x7fffffff} {
		x := FromBF16(ToBF16(math.Float32frombits(bits)))
		if x == x || math.Signbit(float64(x)) != (bits>>31 == 1) {
			t.Errorf("NaN %#08x became %v", bits, x)
		}
	}
}

// TestBF16RoundTrip: widening is exact, so what was a bfloat16 stays one.
func TestBF16RoundTrip(t *testing.T) {
	for u := range 1 << 16 {
		x := FromBF16(uint16(u))
		if got := ToBF16(x); x == x && got != uint16(u) {
			t.Fatalf("%#04x became %#04x", u, got)
		}
	}
}

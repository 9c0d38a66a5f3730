package collective

import (
	"math"
	"testing"
)

func TestAddF32(t *testing.T) {
	for n := range 40 {
		a, b, got := make([]float32, n), make([]float32, n), make([]float32, n)
		for i := range a {
			a[i], b[i] = float32(i)*1.5, float32(n)/7
		}
		addF32(got, a, b)
		for i := range got {
			if got[i] != a[i]+b[i] {
				t.Fatalf("length %d: element %d is %v, want %v", n, i, got[i], a[i]+b[i])
			}
		}
	}
}

// TestBF16 rounds every bfloat16 and its neighbours: exact values stay, halves go
// to the even side, all else to the nearest.
func TestBF16(t *testing.T) {
	for v := range 1 << 16 {
		exact := uint16(v)
		f := fromBF16(exact)
		if f != f {
			if r := fromBF16(toBF16(f)); r == r {
				t.Fatalf("NaN %#04x became %v", exact, r)
			}
			continue
		}
		if toBF16(f) != exact {
			t.Fatalf("%#04x became %#04x", exact, toBF16(f))
		}
		if math.IsInf(float64(f), 0) {
			continue
		}
		bits := uint32(exact) << 16
		for low, want := range map[uint32]uint16{0x7fff: exact, 0x8000: exact + exact&1, 0x8001: exact + 1} {
			if got := toBF16(math.Float32frombits(bits | low)); got != want {
				t.Fatalf("%#08x became %#04x, want %#04x", bits|low, got, want)
			}
		}
	}
	if nan := math.Float32frombits(0x7f800001); fromBF16(toBF16(nan)) == fromBF16(toBF16(nan)) {
		t.Error("a NaN whose upper half is infinity became infinity")
	}
}

func TestWideAdders(t *testing.T) {
	wire, own := []uint16{toBF16(1.5), toBF16(-2)}, []float32{0.001, 7}
	sum, rounded := make([]float32, 2), make([]uint16, 2)
	addWide(sum, wire, own)
	addBF16(rounded, wire, own)
	for i := range sum {
		if want := fromBF16(wire[i]) + own[i]; sum[i] != want || rounded[i] != toBF16(want) {
			t.Errorf("element %d: %v and %v, want %v", i, sum[i], fromBF16(rounded[i]), want)
		}
	}
}

func TestParseOp(t *testing.T) {
	for _, op := range []Op{SumF32, SumBF16, SumI32} {
		if got, err := ParseOp(op.String()); err != nil || got != op {
			t.Errorf("%v: %v, %v", op, got, err)
		}
	}
	if _, err := ParseOp("sum"); err == nil {
		t.Error("sum was accepted")
	}
}

package adder

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// everyVersion runs f for each version that this machine has, at lengths around a
// turn and beyond.
func everyVersion(t *testing.T, f func(t *testing.T, l *loops, n int)) {
	for i, l := range available() {
		t.Run(fmt.Sprintf("%d of turn %d", i, l.turn), func(t *testing.T) {
			for _, n := range []int{0, 1, 7, 31, 32, 33, 63, 64, 65, 127, 128, 1000, 4099} {
				f(t, l, n)
			}
		})
	}
}

// floats are of all magnitudes, and some are none: infinities, zeros, NaNs.
func floats(n int, seed uint64) []float32 {
	rng := rand.New(rand.NewPCG(seed, 1))
	v := make([]float32, n)
	for i := range v {
		v[i] = math.Float32frombits(rng.Uint32())
	}
	return v
}

// halves are as wild, in bfloat16.
func halves(n int, seed uint64) []uint16 {
	v := make([]uint16, n)
	narrowPortable(v, floats(n, seed))
	return v
}

// alike compares bits; NaNs are alike whatever their bits.
func alike(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

func alikeBF16(a, b uint16) bool {
	return a == b || alike(fromBF16(a), fromBF16(b)) && fromBF16(a) != fromBF16(a)
}

func TestF32(t *testing.T) {
	everyVersion(t, func(t *testing.T, l *loops, n int) {
		a, b, got := floats(n, 1), floats(n, 2), make([]float32, n+1)
		l.f32(got[:n], a, b)
		for i := range n {
			if !alike(got[i], a[i]+b[i]) {
				t.Fatalf("length %d: element %d is %v, want %v", n, i, got[i], a[i]+b[i])
			}
		}
		if got[n] != 0 {
			t.Fatalf("length %d: wrote beyond its end", n)
		}
	})
}

func TestI32(t *testing.T) {
	everyVersion(t, func(t *testing.T, l *loops, n int) {
		rng := rand.New(rand.NewPCG(1, 1))
		a, b, got := make([]int32, n), make([]int32, n), make([]int32, n+1)
		for i := range n {
			a[i], b[i] = int32(rng.Uint32()), int32(rng.Uint32())
		}
		l.i32(got[:n], a, b)
		for i := range n {
			if got[i] != a[i]+b[i] {
				t.Fatalf("length %d: element %d is %v, want %v", n, i, got[i], a[i]+b[i])
			}
		}
		if got[n] != 0 {
			t.Fatalf("length %d: wrote beyond its end", n)
		}
	})
}

func TestBF16Loops(t *testing.T) {
	everyVersion(t, func(t *testing.T, l *loops, n int) {
		a, b := halves(n, 1), floats(n, 2)
		sums, want := make([]uint16, n), make([]uint16, n)
		l.bf16(sums, a, b)
		addBF16Portable(want, a, b)
		if !slices.EqualFunc(sums, want, alikeBF16) {
			t.Fatalf("length %d: sums differ", n)
		}
		l.narrowed(sums, b)
		narrowPortable(want, b)
		if !slices.EqualFunc(sums, want, alikeBF16) {
			t.Fatalf("length %d: rounding differs", n)
		}
		wide, wideWant := make([]float32, n), make([]float32, n)
		l.wide(wide, a, b)
		addWidePortable(wideWant, a, b)
		if !slices.EqualFunc(wide, wideWant, alike) {
			t.Fatalf("length %d: wide sums differ", n)
		}
		l.widened(wide, a)
		widenPortable(wideWant, a)
		if !slices.EqualFunc(wide, wideWant, alike) {
			t.Fatalf("length %d: widening differs", n)
		}
	})
}

// TestRounding rounds every bfloat16 and its neighbours: exact values stay, halves
// go to the even side, all else to the nearest.
func TestRounding(t *testing.T) {
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

// TestInPlace: the sum may take the place of either operand.
func TestInPlace(t *testing.T) {
	a, b := floats(1000, 1), floats(1000, 2)
	want := make([]float32, 1000)
	F32(want, a, b)
	left, right := slices.Clone(a), slices.Clone(b)
	F32(left, left, b)
	F32(right, a, right)
	if !slices.EqualFunc(left, want, alike) || !slices.EqualFunc(right, want, alike) {
		t.Error("a sum in place differs")
	}
}

// BenchmarkAdd reports how fast the loops are on a chunk of 256 KiB; the bytes are
// those of float32.
func BenchmarkAdd(b *testing.B) {
	const n = 64 << 10
	f, g, h := make([]float32, n), make([]float32, n), make([]float32, n)
	k, m, o := make([]int32, n), make([]int32, n), make([]int32, n)
	u, v := make([]uint16, n), make([]uint16, n)
	for _, l := range available() {
		for _, c := range []struct {
			name string
			run  func()
		}{
			{"f32", func() { l.f32(f, g, h) }},
			{"i32", func() { l.i32(k, m, o) }},
			{"bf16", func() { l.bf16(u, v, h) }},
			{"wide", func() { l.wide(f, v, h) }},
			{"narrow", func() { l.narrowed(u, h) }},
			{"widen", func() { l.widened(f, u) }},
			{"copy", func() { copy(f, g) }},
		} {
			b.Run(fmt.Sprintf("%s/turn=%d", c.name, l.turn), func(b *testing.B) {
				b.SetBytes(4 * n)
				for b.Loop() {
					c.run()
				}
			})
		}
	}
}

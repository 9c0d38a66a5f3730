package cpu

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"parallax/kernels"
)

// Every instruction set gives the bits of the portable version, at every length of
// the tail, for numbers of all magnitudes and for what is none.
func TestQuantizeTwins(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, set := range availableSets() {
		for n := range 70 {
			g, sum := make([]float32, n), make([]int32, n)
			for i := range g {
				g[i], sum[i] = math.Float32frombits(rng.Uint32()), rng.Int32()>>4
				if i%3 > 0 {
					g[i] = float32(rng.NormFloat64())
				}
			}
			wantG, wantSum := slices.Clone(g), slices.Clone(sum)
			want := quantizePortable(wantSum, wantG, 1<<20, 1<<22)
			got := set.quantize(sum, g, 1<<20, 1<<22)
			if got != want || !slices.Equal(sum, wantSum) || !slices.Equal(g, wantG) {
				t.Fatalf("%s, length %d: peak %#x and sum %v, want %#x and %v", set.name, n, got, sum, want, wantSum)
			}
			dequantizePortable(wantG, wantSum, 0x1p-20)
			if set.dequantize(g, sum, 0x1p-20); !slices.Equal(g, wantG) {
				t.Fatalf("%s, length %d: gradient %v, want %v", set.name, n, g, wantG)
			}
		}
	}
}

// BenchmarkQuantize takes a gradient that fits into no near cache: 4 MiB.
func BenchmarkQuantize(b *testing.B) {
	const n = 1 << 20
	for _, set := range availableSets() {
		dev := &Backend{pool: newPool(1), kernels: set}
		g, _ := dev.Alloc(kernels.F32, n)
		sum, _ := dev.Alloc(kernels.I32, n)
		peak, _ := dev.Alloc(kernels.I32, 1)
		f := kernels.FixedPoint{Bits: 27, Exponent: -3}
		b.Run(set.key+"/there", func(b *testing.B) {
			b.SetBytes(4 * n)
			for b.Loop() {
				dev.Quantize(kernels.Quantize{FixedPoint: f, Sum: sum, G: g, Peak: peak, Accumulate: true})
			}
		})
		b.Run(set.key+"/back", func(b *testing.B) {
			b.SetBytes(4 * n)
			for b.Loop() {
				dev.Dequantize(kernels.Dequantize{FixedPoint: f, Sum: sum, G: g})
			}
		})
	}
}

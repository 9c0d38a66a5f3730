package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// The assembly has these offsets as constants.
func TestTileLayout(t *testing.T) {
	var x tile
	got := []uintptr{unsafe.Offsetof(x.a), unsafe.Offsetof(x.b), unsafe.Offsetof(x.c), unsafe.Offsetof(x.add),
		unsafe.Offsetof(x.aRow), unsafe.Offsetof(x.aCol), unsafe.Offsetof(x.bRow), unsafe.Offsetof(x.cRow),
		unsafe.Offsetof(x.addRow), unsafe.Offsetof(x.n), unsafe.Offsetof(x.k), unsafe.Offsetof(x.alpha), unsafe.Offsetof(x.beta), unsafe.Offsetof(x.next)}
	want := []uintptr{0, 24, 48, 72, 96, 104, 112, 120, 128, 144, 152, 160, 164, 168}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("fields of tile at %v, the assembly reads them at %v", got, want)
	}
}

// Every block size of every kernel set against the Go version, on operands whose
// elements around the block are NaN: none may be read into a result, none
// written.
func TestTileBlocks(t *testing.T) {
	for _, set := range availableSets() {
		for m := 1; m <= set.mr; m++ {
			for n := 1; n <= set.nr; n++ {
				for _, k := range []int{0, 1, 7, 16} {
					checkTile(t, set, m, n, k)
				}
			}
		}
	}
}

func checkTile(t *testing.T, set *kernelSet, m, n, k int) {
	t.Helper()
	for flags := range 4 {
		x := tile{m: m, n: n, k: k, aRow: k + 1, aCol: 1, bRow: n + 2, cRow: n + 1, addRow: n + 3, alpha: 0.5}
		if flags&1 == 1 {
			x.aRow, x.aCol = 1, m+1
		}
		if flags&2 == 2 {
			x.beta = -2
		}
		rng := rand.New(rand.NewPCG(uint64(m), uint64(n)))
		x.a = block(rng, m, k, x.aRow, x.aCol)
		x.b, x.add = block(rng, k, n, x.bRow, 1), block(rng, m, n, x.addRow, 1)
		x.c = block(rng, m, n, x.cRow, 1)
		y := x
		y.c = append([]float32(nil), x.c...)
		set.tile(&x)
		tilePortable(&y)
		for i := range x.c {
			if diff := float64(x.c[i] - y.c[i]); !(diff < 1e-5 && diff > -1e-5) && (x.c[i] == x.c[i] || y.c[i] == y.c[i]) {
				t.Fatalf("%s %dx%dx%d flags %d: element %d is %v, want %v", set.name, m, n, k, flags, i, x.c[i], y.c[i])
			}
		}
	}
}

// block is an m x n block of random numbers, NaN in between and behind.
func block(rng *rand.Rand, m, n, row, col int) []float32 {
	x := make([]float32, m*row+n*col+1)
	for i := range x {
		x[i] = nan32
	}
	for i := range m {
		for j := range n {
			x[i*row+j*col] = float32(rng.NormFloat64())
		}
	}
	return x
}

var nan32 = float32(math.NaN())

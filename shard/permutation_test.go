package shard

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestPermutationIsABijection(t *testing.T) {
	for n := 1; n <= 1000; n++ {
		p := NewPermutation(n, uint64(n))
		seen := make([]bool, n)
		for i := range n {
			v := p.At(i)
			if v < 0 || v >= n || seen[v] {
				t.Fatalf("n = %d: At(%d) = %d is out of range or was seen before", n, i, v)
			}
			seen[v] = true
			if back := p.Inverse(v); back != i {
				t.Fatalf("n = %d: Inverse(At(%d)) = %d", n, i, back)
			}
		}
	}
}

func TestPermutationOfManyElements(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for _, n := range []int{1 << 20, 1<<20 + 1, 1e9 + 7, 1 << 32, 1<<40 - 1, math.MaxInt64} {
		p := NewPermutation(n, r.Uint64())
		for range 2000 {
			i := r.IntN(n)
			v := p.At(i)
			if v < 0 || v >= n {
				t.Fatalf("n = %d: At(%d) = %d is out of range", n, i, v)
			}
			if back := p.Inverse(v); back != i {
				t.Fatalf("n = %d: Inverse(At(%d)) = %d", n, i, back)
			}
		}
	}
}

// Every element must come to every place equally often over seeds: a chi-squared
// test with 99 degrees of freedom, whose 99.99th percentile is 161.
func TestPermutationsAreUniform(t *testing.T) {
	const n, seeds = 10, 20000
	var hits [n][n]int
	for seed := range uint64(seeds) {
		p := NewPermutation(n, seed)
		for i := range n {
			hits[i][p.At(i)]++
		}
	}
	chi, expected := 0.0, float64(seeds)/n
	for _, row := range hits {
		for _, h := range row {
			chi += (float64(h) - expected) * (float64(h) - expected) / expected
		}
	}
	if chi > 161 {
		t.Errorf("chi-squared of element against place is %.0f, want at most 161", chi)
	}
}

func TestPermutationsDiffer(t *testing.T) {
	a, b := NewPermutation(10000, 1), NewPermutation(10000, 2)
	same, fixed := 0, 0
	for i := range 10000 {
		if a.At(i) == b.At(i) {
			same++
		}
		if a.At(i) == i {
			fixed++
		}
	}
	if same > 10 || fixed > 10 { // both are Poisson with mean 1
		t.Errorf("two seeds agree at %d places, and one has %d fixed points, of 10000", same, fixed)
	}
}

// The order of a run's data must not change between releases.
func TestPermutationIsStable(t *testing.T) {
	p, got := NewPermutation(100, 42), [6]int{}
	for i := range got {
		got[i] = p.At(i)
	}
	if want := [6]int{1, 77, 93, 51, 6, 75}; got != want {
		t.Errorf("the permutation of 100 with seed 42 begins %v, want %v", got, want)
	}
}

func TestPermutationRefusesOthers(t *testing.T) {
	p := NewPermutation(5, 0)
	for name, f := range map[string]func(){
		"empty":    func() { NewPermutation(0, 0) },
		"negative": func() { p.At(-1) },
		"beyond":   func() { p.Inverse(5) },
	} {
		mustPanic(t, name, f)
	}
}

func mustPanic(t *testing.T, name string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: no panic", name)
		}
	}()
	f()
}

func BenchmarkPermutation(b *testing.B) {
	p := NewPermutation(1_000_003, 1)
	for i := range b.N {
		p.At(i % 1_000_003)
	}
}

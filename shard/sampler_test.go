package shard

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func newSampler(t *testing.T, seed uint64, sequences, slots, microBatch int) *Sampler {
	t.Helper()
	s, err := NewSampler(seed, sequences, slots, microBatch)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Whatever the world is at each step, and however often it changes, every
// sequence is trained on exactly once per epoch.
func TestEverySampleOncePerEpochInAnyWorld(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 200 {
		sequences, slots, microBatch := 1+r.IntN(300), 1+r.IntN(12), 1+r.IntN(5)
		s := newSampler(t, r.Uint64(), sequences, slots, microBatch)
		steps := int64(3*sequences/(slots*microBatch) + 1)
		var visits []int
		for step := range steps {
			visits = append(visits, stepInRandomWorld(t, r, s, step)...)
		}
		for epoch := 0; (epoch+1)*sequences <= len(visits); epoch++ {
			seen := slices.Clone(visits[epoch*sequences : (epoch+1)*sequences])
			slices.Sort(seen)
			for i, v := range seen {
				if v != i {
					t.Fatalf("%d sequences, %d slots of %d: epoch %d visits %v", sequences, slots, microBatch, epoch, seen)
				}
			}
		}
	}
}

// stepInRandomWorld collects what the ranks of some deal train on, in slot order.
func stepInRandomWorld(t *testing.T, r *rand.Rand, s *Sampler, step int64) []int {
	t.Helper()
	weights := make([]float64, 1+r.IntN(8))
	for i := range weights {
		weights[i] = float64(r.IntN(4))
	}
	bySlot := make([][]int, s.slots)
	for _, slots := range Deal(s.slots, weights) {
		a, err := s.Assign(slots)
		if err != nil {
			t.Fatal(err)
		}
		for i, indices := range a.Step(step) {
			bySlot[a.slots[i]] = indices
		}
	}
	return slices.Concat(bySlot...)
}

func TestEpochsDiffer(t *testing.T) {
	s := newSampler(t, 9, 1000, 1, 1000)
	if slices.Equal(s.Indices(0, 0), s.Indices(1, 0)) {
		t.Error("the second epoch has the order of the first")
	}
	other := newSampler(t, 10, 1000, 1, 1000)
	if slices.Equal(s.Indices(0, 0), other.Indices(0, 0)) {
		t.Error("another seed gives the same order")
	}
}

func TestSamplerFarIntoARun(t *testing.T) {
	s := newSampler(t, 1, 1_000_003, 512, 64)
	for _, index := range s.Indices(1e12, 511) {
		if index < 0 || index >= 1_000_003 {
			t.Fatalf("index %d", index)
		}
	}
}

func TestSamplerRefuses(t *testing.T) {
	for _, c := range []struct {
		sequences, slots, microBatch int
		want                         string
	}{
		{0, 1, 1, "there are 0 training sequences: use more data or shorter sequences"},
		{5, 0, 1, "a step of 0 slots of 1 sequences: both must be at least 1"},
		{5, 1, -1, "a step of 1 slots of -1 sequences: both must be at least 1"},
	} {
		if _, err := NewSampler(0, c.sequences, c.slots, c.microBatch); err == nil || err.Error() != c.want {
			t.Errorf("NewSampler(%d, %d, %d): %v, want %q", c.sequences, c.slots, c.microBatch, err, c.want)
		}
	}
	s := newSampler(t, 0, 5, 2, 1)
	mustPanic(t, "slot", func() { s.Indices(0, 2) })
	mustPanic(t, "step", func() { s.Indices(-1, 0) })
	if _, err := s.Assign([]int{0, 2}); err == nil || err.Error() != "this rank is dealt slot 2, but a step has slots 0..1" {
		t.Errorf("Assign of a slot that is none: %v", err)
	}
	if _, err := s.Assign([]int{1, 1}); err == nil || err.Error() != "this rank is dealt slot 1 twice" {
		t.Errorf("Assign of a slot twice: %v", err)
	}
}

func TestEpoch(t *testing.T) {
	if got := newSampler(t, 0, 10, 2, 5).Epoch(3); got != 3 {
		t.Errorf("3 steps of 10 out of 10 sequences are %v epochs", got)
	}
}

func TestValidationBatches(t *testing.T) {
	for _, c := range []struct {
		sequences, microBatch, batches int
		want                           [][]int
	}{
		{8, 2, 2, [][]int{{0, 2}, {4, 6}}},
		{3, 2, 5, [][]int{{0, 1}, {2, Padding}}},
		{1, 4, 1, [][]int{{0, Padding, Padding, Padding}}},
		{5, 2, 0, nil},
	} {
		if diff := cmp.Diff(c.want, ValidationBatches(c.sequences, c.microBatch, c.batches)); diff != "" {
			t.Errorf("ValidationBatches(%d, %d, %d) (-want +got):\n%s", c.sequences, c.microBatch, c.batches, diff)
		}
	}
}

func BenchmarkIndices(b *testing.B) {
	s, err := NewSampler(1, 1_000_003, 8, 8)
	if err != nil {
		b.Fatal(err)
	}
	for i := range b.N {
		s.Indices(int64(i), i%8)
	}
}

package shard

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDeal(t *testing.T) {
	for _, c := range []struct {
		name    string
		slots   int
		weights []float64
		want    [][]int
	}{
		{"equal weights", 6, []float64{7, 7, 7}, [][]int{{0, 1}, {2, 3}, {4, 5}}},
		{"a remainder goes to the lowest ranks", 5, []float64{1, 1, 1}, [][]int{{0, 1}, {2, 3}, {4}}},
		{"half as fast", 6, []float64{2, 1}, [][]int{{0, 1, 2, 3}, {4, 5}}},
		{"largest remainder", 10, []float64{3.4, 3.3, 3.3}, [][]int{{0, 1, 2, 3}, {4, 5, 6}, {7, 8, 9}}},
		{"one that cannot compute", 4, []float64{1, 0, 1}, [][]int{{0, 1}, {}, {2, 3}}},
		{"more ranks than slots", 2, []float64{1, 1, 1}, [][]int{{0}, {1}, {}}},
		{"nothing measured", 4, []float64{0, 0}, [][]int{{0, 1}, {2, 3}}},
		{"no speeds at all", 2, []float64{math.NaN(), math.Inf(1), -1, 5}, [][]int{{}, {}, {}, {0, 1}}},
		{"sums that overflow", 2, []float64{math.MaxFloat64, math.MaxFloat64}, [][]int{{0}, {1}}},
		{"speeds that vanish", 2, []float64{5e-324, 5e-324}, [][]int{{0}, {1}}},
		{"a slow one has a slot all the same", 4, []float64{9, 1, 90}, [][]int{{0}, {1}, {2, 3}}},
		{"one rank", 3, []float64{0.1}, [][]int{{0, 1, 2}}},
	} {
		if diff := cmp.Diff(c.want, Deal(c.slots, c.weights)); diff != "" {
			t.Errorf("%s: Deal(%d, %v) (-want +got):\n%s", c.name, c.slots, c.weights, diff)
		}
	}
}

func TestDealGivesEverySlotOnceAndFairly(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		slots, weights := r.IntN(200), make([]float64, 1+r.IntN(20))
		sum := 0.0
		for i := range weights {
			weights[i] = math.Exp(8*r.Float64()) * float64(r.IntN(3))
			sum += weights[i]
		}
		deal := Deal(slots, weights)
		if err := CheckDeal(deal, slots); err != nil {
			t.Fatalf("Deal(%d, %v): %v", slots, weights, err)
		}
		fed := slices.ContainsFunc(weights, func(w float64) bool { return w > 0 && w/sum*float64(slots) < 1 })
		for rank, mine := range deal {
			if enough := slots >= len(weights); enough && weights[rank] > 0 && len(mine) == 0 {
				t.Fatalf("Deal(%d, %v): rank %d has no slot", slots, weights, rank)
			}
			if !slices.IsSorted(mine) {
				t.Fatalf("Deal(%d, %v): rank %d has %v", slots, weights, rank, mine)
			}
			if quota := weights[rank] / sum * float64(slots); sum > 0 && !fed && math.Abs(float64(len(mine))-quota) >= 1 {
				t.Fatalf("Deal(%d, %v): rank %d has %d slots, quota %v", slots, weights, rank, len(mine), quota)
			}
		}
	}
}

func TestCheckDeal(t *testing.T) {
	for _, c := range []struct {
		deal [][]int
		want string
	}{
		{[][]int{{1}, {0, 2}}, ""},
		{[][]int{{0, 1}}, "1 of 3 slots are dealt to nobody"},
		{[][]int{{0, 1}, {1, 2}}, "slot 1 is dealt to rank 0 and to rank 1"},
		{[][]int{{0, 1}, {3}}, "rank 1 is dealt slot 3, but a step has slots 0..2"},
		{[][]int{{-1, 0, 1, 2}}, "rank 0 is dealt slot -1, but a step has slots 0..2"},
	} {
		got := ""
		if err := CheckDeal(c.deal, 3); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("CheckDeal(%v, 3) = %q, want %q", c.deal, got, c.want)
		}
	}
}

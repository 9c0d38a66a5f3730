package optimizer

import (
	"fmt"
	"slices"
	"testing"

	"parallax/kernels"
)

// Steps give the same bits with any number of lanes, and lanes are used.
func TestLanesKeepBits(t *testing.T) {
	for name, c := range settings() {
		t.Run(name, func(t *testing.T) {
			var want []float64
			for _, threads := range []int{1, 2, 3} {
				be, err := kernels.Open("cpu", kernels.Options{Threads: threads})
				if err != nil {
					t.Fatal(err)
				}
				r := newRig(t, closing(t, be), c)
				if dealt := r.ops.dealt; dealt != (threads > 1 && c.Name == "muon") {
					t.Errorf("%d threads: matrices are dealt out: %v", threads, dealt)
				}
				for step := 1; step <= 2; step++ {
					r.step(t, step, 1)
				}
				got := r.contents(t)
				if want == nil {
					want = got
				}
				if !slices.Equal(got, want) {
					t.Errorf("%d threads give other bits than 1", threads)
				}
			}
		})
	}
}

func TestWorthDealing(t *testing.T) {
	for _, c := range []struct {
		costs []int64
		lanes int
		want  bool
	}{
		{nil, 2, false},
		{[]int64{5, 5}, 1, false},
		{[]int64{5, 5}, 2, true},
		{[]int64{5, 5, 5}, 2, true},
		{[]int64{5, 4}, 2, false},
		{[]int64{5}, 2, false},
		{[]int64{5, 5, 5}, 4, false},
	} {
		var mine []matrix
		for _, cost := range c.costs {
			mine = append(mine, matrix{cost: cost})
		}
		if got := worthDealing(mine, c.lanes); got != c.want {
			t.Errorf("%s: %v", fmt.Sprint(c.costs, c.lanes), got)
		}
	}
}

package shard

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Deal hands out the slots 0..slots-1 to len(weights) ranks in proportion to the
// weights, as measured speeds are: rank r computes the slots in Deal(...)[r].
//
// The shares are rounded by the method of largest remainders, ties going to the
// lower rank, and each rank's slots are contiguous and increase with the rank.
// A weight that is no positive finite number counts as zero and receives nothing,
// unless every weight does: then all count as equal. However small, any other weight
// receives a slot at least, where there are enough: whoever has the most gives it. The
// result depends on the arguments alone, so that all who compute it agree.
func Deal(slots int, weights []float64) [][]int {
	deal := make([][]int, len(weights))
	next := 0
	for rank, n := range shares(slots, weights) {
		deal[rank] = make([]int, n)
		for i := range deal[rank] {
			deal[rank][i] = next
			next++
		}
	}
	return deal
}

// shares splits slots into len(weights) counts by largest remainders.
func shares(slots int, weights []float64) []int {
	weights = normalise(weights)
	counts := make([]int, len(weights))
	remainders := make([]float64, len(weights))
	var order []int
	left := slots
	for rank, w := range weights {
		if w == 0 {
			continue
		}
		quota := w * float64(slots)
		counts[rank] = int(quota)
		remainders[rank] = quota - math.Floor(quota)
		left -= counts[rank]
		order = append(order, rank)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(remainders[b], remainders[a]) })
	for i := 0; i < left && len(order) > 0; i++ {
		counts[order[i%len(order)]]++
	}
	for _, rank := range order {
		most := slices.Index(counts, slices.Max(counts))
		if counts[rank] == 0 && counts[most] > 1 {
			counts[most]--
			counts[rank]++
		}
	}
	return counts
}

// normalise returns weights that sum to 1, with everything that is no speed at 0.
func normalise(weights []float64) []float64 {
	clean := make([]float64, len(weights))
	largest := 0.0
	for i, w := range weights {
		if w > 0 && !math.IsInf(w, 1) {
			clean[i] = w
			largest = max(largest, w)
		}
	}
	if largest == 0 {
		for i := range clean {
			clean[i] = 1
		}
		largest = 1
	}
	sum := 0.0
	for i := range clean {
		clean[i] /= largest // before adding, so that no sum overflows
		sum += clean[i]
	}
	for i := range clean {
		clean[i] /= sum
	}
	return clean
}

// CheckDeal reports whether a deal, for instance one that came over the wire,
// hands out each of the slots 0..slots-1 exactly once.
func CheckDeal(deal [][]int, slots int) error {
	owner := make(map[int]int)
	for rank, mine := range deal {
		for _, slot := range mine {
			if slot < 0 || slot >= slots {
				return fmt.Errorf("rank %d is dealt slot %d, but a step has slots 0..%d", rank, slot, slots-1)
			}
			if other, dealt := owner[slot]; dealt {
				return fmt.Errorf("slot %d is dealt to rank %d and to rank %d", slot, other, rank)
			}
			owner[slot] = rank
		}
	}
	if len(owner) != slots {
		return fmt.Errorf("%d of %d slots are dealt to nobody", slots-len(owner), slots)
	}
	return nil
}

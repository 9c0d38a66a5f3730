package train

import (
	"context"
	"math"

	"parallax/collective"
	"parallax/kernels"
)

// account is what a rank tells the others at the end of a step: its own times
// and wishes, and for each of its slots the loss and the scored tokens. Each
// field is one float64 on the ring.
type account struct {
	compute float64 // seconds
	wish    Wish
	losses  []float64 // summed nats, by slot
	scored  []float64 // tokens, by slot
	peaks   []float64 // exponents of the largest magnitudes, by parameter; see exact
}

// header is the number of fields before those of parameters and slots, and perSlot
// those of each slot.
const (
	header  = 2
	perSlot = 2
)

// exchange gathers all ranks' accounts, by rank.
func (v *view) exchange(ctx context.Context, at collective.Point, mine account) ([]account, error) {
	bounds := make([]int, len(v.slots)+1) // in fields
	for rank, slots := range v.slots {
		bounds[rank+1] = bounds[rank] + header + v.peaks + perSlot*len(slots)
	}
	fields := make([]float64, bounds[len(v.slots)])
	mine.encode(fields[bounds[v.rank]:bounds[v.rank+1]])
	if err := v.comm.AllGather(ctx, at, kernels.Bytes(fields), scaled(bounds, 8)); err != nil {
		return nil, err
	}
	all := make([]account, len(v.slots))
	for rank := range all {
		all[rank] = decodeAccount(fields[bounds[rank]:bounds[rank+1]], v.peaks)
	}
	return all, nil
}

func (a account) encode(fields []float64) {
	fields[0], fields[1] = a.compute, float64(a.wish)
	rest := fields[header:]
	for _, list := range [][]float64{a.peaks, a.losses, a.scored} {
		rest = rest[copy(rest, list):]
	}
}

func decodeAccount(fields []float64, peaks int) account {
	a := account{compute: fields[0], wish: Wish(fields[1]), peaks: fields[header : header+peaks]}
	slots := fields[header+peaks:]
	n := len(slots) / perSlot
	a.losses, a.scored = slots[:n], slots[n:]
	return a
}

// total sums the losses and scored tokens of all slots in the order of the
// slots, whoever computed them.
func (v *view) total(all []account) (loss float64, tokens int64) {
	bySlot := map[int][2]float64{}
	slots := 0
	for rank, mine := range v.slots {
		for i, slot := range mine {
			bySlot[slot] = [2]float64{all[rank].losses[i], all[rank].scored[i]}
			slots = max(slots, slot+1)
		}
	}
	sum, scored := 0.0, 0.0
	for slot := range slots {
		sum += bySlot[slot][0]
		scored += bySlot[slot][1]
	}
	return sum / math.Max(scored, 1), int64(scored)
}

func scaled(bounds []int, by int) []int {
	out := make([]int, len(bounds))
	for i, b := range bounds {
		out[i] = b * by
	}
	return out
}

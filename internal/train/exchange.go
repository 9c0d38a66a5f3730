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

// table is where the accounts of all ranks are gathered, step after step.
type table struct {
	bounds, bytes []int // of each rank's account: fields, and bytes
	fields        []float64
	accounts      []account
	places        []place // by slot
}

// place is where a slot's account is: the rank, and the slot's number there. A slot
// that nobody has is at rank -1.
type place struct{ rank, at int }

func newTable(slots [][]int, peaks int) table {
	t := table{bounds: make([]int, len(slots)+1), accounts: make([]account, len(slots))}
	for rank, its := range slots {
		t.bounds[rank+1] = t.bounds[rank] + header + peaks + perSlot*len(its)
		for at, slot := range its {
			for slot >= len(t.places) {
				t.places = append(t.places, place{rank: -1})
			}
			t.places[slot] = place{rank, at}
		}
	}
	t.bytes = scaled(t.bounds, 8)
	t.fields = make([]float64, t.bounds[len(slots)])
	return t
}

// exchange gathers all ranks' accounts, by rank. They are valid until the next
// exchange.
func (v *view) exchange(ctx context.Context, at collective.Point, mine account) ([]account, error) {
	if v.table.accounts == nil {
		v.table = newTable(v.slots, v.peaks)
	}
	t := &v.table
	mine.encode(t.fields[t.bounds[v.rank]:t.bounds[v.rank+1]])
	if err := v.comm.AllGather(ctx, at, kernels.Bytes(t.fields), t.bytes); err != nil {
		return nil, err
	}
	for rank := range t.accounts {
		t.accounts[rank] = decodeAccount(t.fields[t.bounds[rank]:t.bounds[rank+1]], v.peaks)
	}
	return t.accounts, nil
}

func (a account) encode(fields []float64) {
	fields[0], fields[1] = a.compute, float64(a.wish)
	rest := fields[header:]
	rest = rest[copy(rest, a.peaks):]
	rest = rest[copy(rest, a.losses):]
	copy(rest, a.scored)
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
	sum, scored := 0.0, 0.0
	for _, p := range v.table.places {
		if p.rank < 0 {
			continue
		}
		sum += all[p.rank].losses[p.at]
		scored += all[p.rank].scored[p.at]
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

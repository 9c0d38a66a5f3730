package shard

import "fmt"

// Sampler says which sequences every slot of every step holds. All positions of
// all steps are laid out in one line, p = (step*slots + slot)*microBatch + i;
// epoch p/sequences is visited in a permutation of its own. A step may straddle
// two epochs: nothing is dropped at an epoch's end, and nothing repeated within
// one. It holds no state and is safe for use by several goroutines.
type Sampler struct {
	seed       uint64
	sequences  int
	slots      int
	microBatch int
}

// NewSampler returns the sampler for steps of slots micro-batches of microBatch
// sequences, out of sequences training sequences.
func NewSampler(seed uint64, sequences, slots, microBatch int) (*Sampler, error) {
	switch {
	case sequences < 1:
		return nil, fmt.Errorf("there are %d training sequences: use more data or shorter sequences", sequences)
	case slots < 1 || microBatch < 1:
		return nil, fmt.Errorf("a step of %d slots of %d sequences: both must be at least 1", slots, microBatch)
	}
	return &Sampler{seed: seed, sequences: sequences, slots: slots, microBatch: microBatch}, nil
}

// Indices returns the training sequences of slot, in [0, slots), of step, which
// counts from 0. It panics outside these ranges.
func (s *Sampler) Indices(step int64, slot int) []int {
	indices := make([]int, s.microBatch)
	s.fill(indices, step, slot)
	return indices
}

func (s *Sampler) fill(indices []int, step int64, slot int) {
	if step < 0 || slot < 0 || slot >= s.slots {
		panic(fmt.Sprintf("shard: slot %d of step %d, where a step has %d slots", slot, step, s.slots))
	}
	first := (step*int64(s.slots) + int64(slot)) * int64(s.microBatch)
	epoch, order := int64(-1), Permutation{}
	for i := range indices {
		position := first + int64(i)
		if e := position / int64(s.sequences); e != epoch {
			epoch, order = e, s.order(e)
		}
		indices[i] = order.At(int(position % int64(s.sequences)))
	}
}

func (s *Sampler) order(epoch int64) Permutation {
	return NewPermutation(s.sequences, Mix(s.seed, uint64(epoch)))
}

// Epoch returns how many times all training sequences have been seen when steps
// steps are done: 1.5 is half way through the second epoch.
func (s *Sampler) Epoch(steps int64) float64 {
	return float64(steps) * float64(s.slots*s.microBatch) / float64(s.sequences)
}

// ValidationBatches returns the validation micro-batches: the same ones at every
// evaluation, so that losses can be compared. At most batches*microBatch of the
// sequences are used, evenly spaced over all of them and each at most once; the
// last micro-batch is filled up with [Padding].
func ValidationBatches(sequences, microBatch, batches int) [][]int {
	used := min(sequences, microBatch*batches)
	var out [][]int
	for first := 0; first < used; first += microBatch {
		indices := make([]int, microBatch)
		for i := range indices {
			indices[i] = Padding
			if n := first + i; n < used {
				indices[i] = int(int64(n) * int64(sequences) / int64(used))
			}
		}
		out = append(out, indices)
	}
	return out
}

package shard

import (
	"fmt"
	"slices"
)

// Assignment is one rank's part in every step of a view: the slots that it
// computes and, for each, the sequences.
type Assignment struct {
	sampler *Sampler
	slots   []int
}

// Assign gives a rank its slots, as dealt by [Deal]. None is a valid share.
// Slots that the step does not have, or twice the same, are an error.
func (s *Sampler) Assign(slots []int) (Assignment, error) {
	for i, slot := range slots {
		if slot < 0 || slot >= s.slots {
			return Assignment{}, fmt.Errorf("this rank is dealt slot %d, but a step has slots 0..%d", slot, s.slots-1)
		}
		if slices.Contains(slots[:i], slot) {
			return Assignment{}, fmt.Errorf("this rank is dealt slot %d twice", slot)
		}
	}
	return Assignment{sampler: s, slots: slices.Clone(slots)}, nil
}

// Step returns the rank's micro-batches of a step, in the order of its slots: the
// indices of their training sequences.
func (a Assignment) Step(step int64) [][]int {
	batches := make([][]int, len(a.slots))
	for i := range batches {
		batches[i] = make([]int, a.sampler.microBatch)
	}
	a.Fill(batches, step)
	return batches
}

// Fill is [Assignment.Step] into memory that it returned for another step.
func (a Assignment) Fill(batches [][]int, step int64) {
	for i, slot := range a.slots {
		a.sampler.fill(batches[i], step, slot)
	}
}

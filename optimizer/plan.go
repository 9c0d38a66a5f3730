package optimizer

import (
	"cmp"
	"fmt"
	"slices"
)

// Plan deals the Newton-Schulz iterations of a step out over the ranks, and says
// where in the update buffer each matrix' result lies: rank by rank, so that a rank
// owns one stretch. It is a pure function of its arguments, so all ranks make the
// same.
type Plan struct {
	World int
	Slots []Slot // by owner, then by position among the parameters
}

// Slot is one matrix' place in a plan.
type Slot struct {
	Param  int // index among the parameters
	Owner  int // rank that computes it
	Offset int // elements, in the update buffer; a multiple of 16
	Len    int // elements
	Cost   int64
}

// NewPlan deals the matrices out to world ranks: the costliest first, each to the
// rank with the least to do so far. Under adamw there are none.
func NewPlan(c Config, params []Param, world int) (Plan, error) {
	if world < 1 {
		return Plan{}, fmt.Errorf("optimizer: a plan for %d ranks", world)
	}
	p := Plan{World: world}
	for i, param := range params {
		if c.rule(param) == muonRule {
			p.Slots = append(p.Slots, Slot{Param: i, Len: param.Len(), Cost: c.cost(param)})
		}
	}
	p.deal()
	p.arrange()
	return p, nil
}

// cost is the floating-point operations of one Newton-Schulz step, with m the
// smaller and n the larger side of each block: X X^T, its square, and B X.
func (c Config) cost(p Param) int64 {
	blocks := c.blocks(p)
	rows, cols := int64(p.Rows/blocks), int64(p.Cols)
	m, n := min(rows, cols), max(rows, cols)
	return int64(blocks) * 2 * m * m * (2*n + m)
}

func (p *Plan) deal() {
	slices.SortFunc(p.Slots, func(a, b Slot) int {
		return cmp.Or(cmp.Compare(b.Cost, a.Cost), cmp.Compare(a.Param, b.Param))
	})
	load := make([]int64, p.World)
	for i := range p.Slots {
		least := slices.Index(load, slices.Min(load))
		p.Slots[i].Owner = least
		load[least] += p.Slots[i].Cost
	}
}

func (p *Plan) arrange() {
	slices.SortFunc(p.Slots, func(a, b Slot) int {
		return cmp.Or(cmp.Compare(a.Owner, b.Owner), cmp.Compare(a.Param, b.Param))
	})
	at := 0
	for i := range p.Slots {
		p.Slots[i].Offset = at
		at += roundUp(p.Slots[i].Len)
	}
}

// Bounds has World+1 entries: rank i owns elements [Bounds[i], Bounds[i+1]) of the
// update buffer. The last is the buffer's length, whatever World is.
func (p Plan) Bounds() []int {
	bounds := make([]int, p.World+1)
	for _, s := range p.Slots {
		bounds[s.Owner+1] = s.Offset + roundUp(s.Len)
	}
	for i := 1; i <= p.World; i++ {
		bounds[i] = max(bounds[i], bounds[i-1])
	}
	return bounds
}

// Costs is how many floating-point operations each rank has per Newton-Schulz step.
func (p Plan) Costs() []int64 {
	costs := make([]int64, p.World)
	for _, s := range p.Slots {
		costs[s.Owner] += s.Cost
	}
	return costs
}

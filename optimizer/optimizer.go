package optimizer

import (
	"fmt"

	"parallax/kernels"
)

// Target is what an optimizer works on: flat buffers of one length, with the
// parameters at the same place in each. Gaps between parameters must be zero.
type Target struct {
	Params kernels.Buffer // Master type
	Work   kernels.Buffer // Compute type; not looked at where the types are equal
	Grads  kernels.Buffer // Master type
}

func (t Target) check(params []Param) error {
	size := t.Params.Len()
	if t.Grads.Len() != size || t.Work != nil && t.Work.Len() != size {
		return fmt.Errorf("optimizer: parameters, working copy and gradients are not all of %d elements", size)
	}
	return checkParams(params, size)
}

// Optimizer updates parameters on one device. Its methods enqueue work and return;
// they are called from one goroutine at a time.
type Optimizer struct {
	be     kernels.Backend
	cfg    Config
	params []Param
	target Target
	runs   []run
	plan   Plan
	rank   int

	squares, clip kernels.Buffer // [1] Master
	momentum      kernels.Buffer // Master, of the runs under Muon; nil where there are none
	m, v          kernels.Buffer // Master, of the other runs
	updates       kernels.Buffer // Compute, by the plan
	lanes         []lane
	ops           operations
	owned         []kernels.Buffer
}

// lane is the scratch of one of the device's lanes, for the matrix at hand.
type lane struct {
	momentum, direction kernels.Buffer // Master: the step's momentum, and what is orthogonalised
	ns                  newtonSchulz
}

// New allocates an optimizer, with zero state, for a single rank; see
// [Optimizer.SetPlan]. The parameters are in the order of their offsets.
func New(be kernels.Backend, c Config, params []Param, target Target) (*Optimizer, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	if be.Info().Precision.Compute == be.Info().Precision.Master {
		target.Work = nil
	}
	if err := target.check(params); err != nil {
		return nil, err
	}
	o := &Optimizer{be: be, cfg: c, params: params, target: target}
	if err := o.allocate(); err != nil {
		o.Close()
		return nil, err
	}
	plan, err := NewPlan(c, params, 1)
	if err != nil {
		return nil, err
	}
	o.SetPlan(plan, 0)
	return o, nil
}

// SetPlan makes the optimizer compute rank's share of a plan, from the next Begin
// on. The plan is for the same config and parameters.
func (o *Optimizer) SetPlan(p Plan, rank int) {
	if rank < 0 || rank >= p.World {
		panic(fmt.Sprintf("optimizer: rank %d of a plan for %d", rank, p.World))
	}
	o.plan, o.rank = p, rank
	o.prepare()
}

// Updates is the buffer to gather between Begin and Finish, of the Compute type;
// see [Plan.Bounds]. It is nil where no parameter is under Muon.
func (o *Optimizer) Updates() kernels.Buffer { return o.updates }

// GradSquares, [1] of the Master type, holds after Begin the sum of the squares
// of the gradient, before clipping.
func (o *Optimizer) GradSquares() kernels.Buffer { return o.squares }

// Close returns the optimizer's memory to the device. It may be called twice.
func (o *Optimizer) Close() {
	kernels.Forget(o.be, o)
	for _, b := range o.owned {
		b.Free()
	}
	o.owned = nil
}

// sizes are the elements that an optimizer allocates.
type sizes struct {
	muon, adam    int // momentum; each of the two moments
	updates       int
	lanes         int // each with the following
	largest, gram int // of the matrices orthogonalised: elements, and shorter side squared
	whole         int // elements of the largest parameter under Muon
}

// measure is for a device of some lanes, of which no more are used than there are
// parameters under Muon.
func measure(c Config, params []Param, lanes int) sizes {
	var s sizes
	_, s.muon, s.adam = split(c, params)
	for _, p := range params {
		if c.rule(p) != muonRule {
			continue
		}
		rows := p.Rows / c.blocks(p)
		side := min(rows, p.Cols)
		s.updates += roundUp(p.Len())
		s.lanes = min(s.lanes+1, lanes)
		s.largest = max(s.largest, rows*p.Cols)
		s.gram = max(s.gram, side*side)
		s.whole = max(s.whole, p.Len())
	}
	return s
}

func (o *Optimizer) allocate() error {
	o.runs, _, _ = split(o.cfg, o.params)
	s := measure(o.cfg, o.params, kernels.Lanes(o.be))
	precision := o.be.Info().Precision
	wanted := []want{
		{&o.squares, precision.Master, 1},
		{&o.clip, precision.Master, 1},
		{&o.momentum, precision.Master, s.muon},
		{&o.m, precision.Master, s.adam},
		{&o.v, precision.Master, s.adam},
		{&o.updates, precision.Compute, s.updates},
	}
	o.lanes = make([]lane, s.lanes)
	for i := range o.lanes {
		l := &o.lanes[i]
		l.ns.set = coefficientSets[o.cfg.Coefficients]
		wanted = append(wanted,
			want{&l.momentum, precision.Master, s.whole},
			want{&l.direction, precision.Master, s.whole},
			want{&l.ns.x, precision.Compute, s.largest},
			want{&l.ns.gram, precision.Compute, s.gram},
			want{&l.ns.poly, precision.Compute, s.gram},
			want{&l.ns.squares, precision.Master, 1})
	}
	for _, w := range wanted {
		if err := o.alloc(w); err != nil {
			return fmt.Errorf("optimizer %s: %w", o.cfg.Name, err)
		}
	}
	return nil
}

// want is a buffer of n elements to allocate, unless n is 0.
type want struct {
	to *kernels.Buffer
	dt kernels.DType
	n  int
}

func (o *Optimizer) alloc(w want) error {
	if w.n == 0 {
		return nil
	}
	b, err := o.be.Alloc(w.dt, w.n)
	if err != nil {
		return err
	}
	*w.to = b
	o.owned = append(o.owned, b)
	return nil
}

// Bytes is the device memory that an [Optimizer] takes.
type Bytes struct {
	State   int64 // momentum and moments
	Scratch int64 // updates and Newton-Schulz
}

// MemoryBytes is what [New] will allocate on a backend of the given precision and
// number of lanes.
func MemoryBytes(c Config, params []Param, p kernels.Precision, lanes int) Bytes {
	s := measure(c, params, lanes)
	compute, master := int64(p.Compute.Size()), int64(p.Master.Size())
	return Bytes{
		State:   master * int64(s.muon+2*s.adam),
		Scratch: master*int64(2+s.lanes*(2*s.whole+1)) + compute*int64(s.updates+s.lanes*(s.largest+2*s.gram)),
	}
}

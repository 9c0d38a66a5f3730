package optimizer

import (
	"cmp"
	"slices"

	"parallax/kernels"
)

// operations are those of a step, made once for a plan: a step fills in its numbers,
// and nothing is allocated.
type operations struct {
	muon    []kernels.Momentum // of the runs
	adam    []kernels.AdamW    // of the runs, without step and rate
	mine    []matrix           // the costliest first
	dealt   bool               // to the lanes, whole, rather than each shared out among them
	updates []kernels.Update   // of all slots, without decay and rate
	rules   []float64          // what the scale rule says of each slot

	begin, finish func()
	matrix        func(be kernels.Backend, lane, i int)
	step          int     // that finish applies
	scale         float64 // likewise
}

// matrix is what Begin computes of one of this rank's slots.
type matrix struct {
	cost  int64
	state kernels.Buffer // its momentum
	on    []matrixOn     // the lanes
}

// matrixOn are a matrix' operations in one lane's scratch.
type matrixOn struct {
	momentum kernels.Momentum // the step's
	blocks   []iteration
}

// prepare makes the operations of the plan.
func (o *Optimizer) prepare() {
	o.ops = operations{begin: o.compute, finish: o.apply, matrix: o.computeMatrix}
	for _, r := range o.runs {
		if r.rule == muonRule {
			g := o.target.Grads.Slice(r.lo, r.hi)
			o.ops.muon = append(o.ops.muon, o.momentumOp(g, o.momentum.Slice(r.state, r.state+r.len()), g))
		} else {
			o.ops.adam = append(o.ops.adam, o.adamOp(r))
		}
	}
	for _, s := range o.plan.Slots {
		if s.Owner == o.rank {
			o.ops.mine = append(o.ops.mine, o.prepareMatrix(s))
		}
		p := o.params[s.Param]
		o.ops.updates = append(o.ops.updates, kernels.Update{
			P: o.target.Params.Slice(p.Offset, p.end()), Work: o.work(p.Offset, p.end()), U: o.updates.Slice(s.Offset, s.Offset+s.Len),
		})
		o.ops.rules = append(o.ops.rules, scaleRules[o.cfg.Scale](float64(p.Rows/o.cfg.blocks(p)), float64(p.Cols)))
	}
	slices.SortStableFunc(o.ops.mine, func(a, b matrix) int { return cmp.Compare(b.cost, a.cost) })
	o.ops.dealt = worthDealing(o.ops.mine, len(o.lanes))
}

// worthDealing says whether lanes end at about the same time when each computes whole
// matrices: the costliest is no more than a lane's share.
func worthDealing(mine []matrix, lanes int) bool {
	total := int64(0)
	for _, m := range mine {
		total += m.cost
	}
	return lanes > 1 && len(mine) > 0 && mine[0].cost*int64(lanes) <= total
}

// prepareMatrix is for one matrix' update: its momentum, advanced in scratch, made
// orthogonal as a whole or head by head.
func (o *Optimizer) prepareMatrix(s Slot) matrix {
	p := o.params[s.Param]
	at := stateOffset(o.runs, p)
	m := matrix{cost: s.Cost, state: o.momentum.Slice(at, at+p.Len())}
	for i := range o.lanes {
		m.on = append(m.on, o.prepareOn(&o.lanes[i], s))
	}
	return m
}

func (o *Optimizer) prepareOn(l *lane, s Slot) matrixOn {
	p := o.params[s.Param]
	u := l.direction.Slice(0, p.Len())
	m := matrixOn{momentum: o.momentumOp(u, l.momentum.Slice(0, p.Len()), o.target.Grads.Slice(p.Offset, p.end()))}
	blocks := o.cfg.blocks(p)
	n := p.Len() / blocks
	for b := range blocks {
		dst := o.updates.Slice(s.Offset+b*n, s.Offset+(b+1)*n)
		m.blocks = append(m.blocks, l.ns.prepare(dst, u.Slice(b*n, (b+1)*n), p.Rows/blocks, p.Cols))
	}
	return m
}

func (o *Optimizer) momentumOp(u, m, g kernels.Buffer) kernels.Momentum {
	return kernels.Momentum{U: u, M: m, G: g, GradScale: o.clip, Mu: o.cfg.Momentum, Nesterov: o.cfg.Nesterov}
}

func (o *Optimizer) adamOp(r run) kernels.AdamW {
	op := kernels.AdamW{
		P: o.target.Params.Slice(r.lo, r.hi), G: o.target.Grads.Slice(r.lo, r.hi),
		M: o.m.Slice(r.state, r.state+r.len()), V: o.v.Slice(r.state, r.state+r.len()),
		Work: o.work(r.lo, r.hi), GradScale: o.clip,
		Beta1: o.cfg.Beta1, Beta2: o.cfg.Beta2, Eps: o.cfg.AdamEps,
	}
	if r.rule == adamRule {
		op.WeightDecay = o.cfg.AdamWeightDecay
	}
	return op
}

// work is a part of the working copy, nil where there is none.
func (o *Optimizer) work(lo, hi int) kernels.Buffer {
	if o.target.Work == nil {
		return nil
	}
	return o.target.Work.Slice(lo, hi)
}

// Begin computes, from the reduced gradient in Grads, its norm and clipping factor,
// and the updates of this rank's matrices into its part of Updates. It changes
// nothing else, see the package's comment.
func (o *Optimizer) Begin() { kernels.Repeat(o.be, o, 0, o.ops.begin) }

func (o *Optimizer) compute() {
	o.be.SumSquares(o.squares, o.target.Grads, false)
	o.be.ClipScale(o.clip, o.squares, o.cfg.ClipNorm)
	if o.ops.dealt {
		kernels.Deal(o.be, len(o.ops.mine), o.ops.matrix)
		return
	}
	for i := range o.ops.mine {
		o.computeMatrix(o.be, 0, i)
	}
}

// computeMatrix orthogonalises the i-th of this rank's matrices in a lane's scratch.
func (o *Optimizer) computeMatrix(be kernels.Backend, lane, i int) {
	m := &o.ops.mine[i]
	on := &m.on[lane]
	be.Copy(on.momentum.M, m.state)
	be.Momentum(on.momentum)
	for j := range on.blocks {
		o.lanes[lane].ns.orthogonalize(be, &on.blocks[j])
	}
}

// Finish applies the update of the step after Begin, with Updates gathered, and
// writes the working copy. step counts from 1; scale multiplies both learning
// rates. Grads holds nothing of use afterwards.
func (o *Optimizer) Finish(step int, scale float64) {
	o.ops.step, o.ops.scale = step, scale
	kernels.Repeat(o.be, o, 1, o.ops.finish)
}

func (o *Optimizer) apply() {
	for _, op := range o.ops.muon {
		o.be.Momentum(op)
	}
	for _, op := range o.ops.adam {
		op.Step, op.LR = o.ops.step, o.cfg.AdamLR*o.ops.scale
		o.be.AdamW(op)
	}
	lr := o.cfg.LR * o.ops.scale
	for i, op := range o.ops.updates {
		op.Decay, op.Rate = 1-lr*o.cfg.WeightDecay, lr*o.ops.rules[i]
		o.be.Update(op)
	}
}

package optimizer

import "parallax/kernels"

// Begin computes, from the reduced gradient in Grads, its norm and clipping factor,
// and the updates of this rank's matrices into its part of Updates. It changes
// nothing else, see the package's comment.
func (o *Optimizer) Begin() {
	kernels.Repeat(o.be, o, 0, func() {
		o.be.SumSquares(o.squares, o.target.Grads, false)
		o.be.ClipScale(o.clip, o.squares, o.cfg.ClipNorm)
		for _, s := range o.plan.Slots {
			if s.Owner == o.rank {
				o.computeUpdate(s)
			}
		}
	})
}

// computeUpdate writes one matrix' update: its momentum, advanced in scratch, made
// orthogonal as a whole or head by head.
func (o *Optimizer) computeUpdate(s Slot) {
	p := o.params[s.Param]
	at := stateOffset(o.runs, p)
	m, u := o.nextMomentum.Slice(0, p.Len()), o.direction.Slice(0, p.Len())
	o.be.Copy(m, o.momentum.Slice(at, at+p.Len()))
	o.be.Momentum(o.momentumOp(u, m, o.target.Grads.Slice(p.Offset, p.end())))

	blocks := o.cfg.blocks(p)
	n := p.Len() / blocks
	for b := range blocks {
		dst := o.updates.Slice(s.Offset+b*n, s.Offset+(b+1)*n)
		o.ns.orthogonalize(dst, u.Slice(b*n, (b+1)*n), p.Rows/blocks, p.Cols)
	}
}

func (o *Optimizer) momentumOp(u, m, g kernels.Buffer) kernels.Momentum {
	return kernels.Momentum{U: u, M: m, G: g, GradScale: o.clip, Mu: o.cfg.Momentum, Nesterov: o.cfg.Nesterov}
}

// Finish applies the update of the step after Begin, with Updates gathered, and
// writes the working copy. step counts from 1; scale multiplies both learning
// rates. Grads holds nothing of use afterwards.
func (o *Optimizer) Finish(step int, scale float64) {
	kernels.Repeat(o.be, o, 1, func() { o.apply(step, scale) })
}

func (o *Optimizer) apply(step int, scale float64) {
	for _, r := range o.runs {
		if r.rule == muonRule {
			g := o.target.Grads.Slice(r.lo, r.hi)
			o.be.Momentum(o.momentumOp(g, o.momentum.Slice(r.state, r.state+r.len()), g))
		} else {
			o.be.AdamW(o.adamOp(r, step, scale))
		}
	}
	for _, s := range o.plan.Slots {
		o.be.Update(o.updateOp(s, scale))
	}
}

func (o *Optimizer) adamOp(r run, step int, scale float64) kernels.AdamW {
	op := kernels.AdamW{
		P: o.target.Params.Slice(r.lo, r.hi), G: o.target.Grads.Slice(r.lo, r.hi),
		M: o.m.Slice(r.state, r.state+r.len()), V: o.v.Slice(r.state, r.state+r.len()),
		Work: o.work(r.lo, r.hi), GradScale: o.clip,
		LR: o.cfg.AdamLR * scale, Beta1: o.cfg.Beta1, Beta2: o.cfg.Beta2, Eps: o.cfg.AdamEps, Step: step,
	}
	if r.rule == adamRule {
		op.WeightDecay = o.cfg.AdamWeightDecay
	}
	return op
}

func (o *Optimizer) updateOp(s Slot, scale float64) kernels.Update {
	p, lr := o.params[s.Param], o.cfg.LR*scale
	rows := p.Rows / o.cfg.blocks(p)
	return kernels.Update{
		P: o.target.Params.Slice(p.Offset, p.end()), Work: o.work(p.Offset, p.end()),
		U:     o.updates.Slice(s.Offset, s.Offset+s.Len),
		Decay: 1 - lr*o.cfg.WeightDecay,
		Rate:  lr * scaleRules[o.cfg.Scale](float64(rows), float64(p.Cols)),
	}
}

// work is a part of the working copy, nil where there is none.
func (o *Optimizer) work(lo, hi int) kernels.Buffer {
	if o.target.Work == nil {
		return nil
	}
	return o.target.Work.Slice(lo, hi)
}

package train

import (
	"context"
	"errors"
	"fmt"
	"math"

	"parallax/collective"
	"parallax/kernels"
)

// pass is one computation of a step's gradient: backward of all slots, reduced.
type pass struct {
	accounts []account
	computed float64 // seconds of forward and backward
	exposed  float64 // seconds after them, until the exchange was done
	waited   float64 // of which for slower ranks
	again    bool    // it is the second
}

// gradient makes the pass of a step, and with sum-exact a second one where an
// exponent was too low. Afterwards the gradient, or its sum of integers, is the
// whole step's on every rank.
func (t *Trainer) gradient(ctx context.Context, w *stopwatch) (pass, error) {
	if t.exact != nil {
		t.exact.begin()
	}
	p, beyond, err := t.computePass(ctx, w)
	if err != nil || !beyond {
		return p, err
	}
	t.exact.raise()
	q, beyond, err := t.computePass(ctx, w)
	if err == nil && beyond {
		err = fmt.Errorf("step %d: %w", t.applied+1, errFickle)
	}
	q.computed, q.exposed, q.waited, q.again = q.computed+p.computed, q.exposed+p.exposed, q.waited+p.waited, true
	return q, err
}

// computePass says whether, with sum-exact, an exponent was too low.
func (t *Trainer) computePass(ctx context.Context, w *stopwatch) (p pass, beyond bool, err error) {
	t.at(t.applied+1, Backward, 0)
	reduction := t.view.reduction
	reduction.start(ctx, t.applied+1)
	if err := t.backward(ctx); err != nil {
		reduction.abandon()
		return pass{}, false, err
	}
	p.computed = w.lap()
	if err := reduction.finish(); err != nil {
		return pass{}, false, err
	}
	if p.accounts, err = t.exchangeStep(ctx, p.computed); err != nil {
		return pass{}, false, err
	}
	p.exposed = w.lap()
	p.waited = min(slowest(p.accounts)-p.computed, p.exposed)
	if t.exact != nil {
		beyond, err = t.judge(p.accounts)
	}
	return p, beyond, err
}

func (t *Trainer) judge(accounts []account) (beyond bool, err error) {
	beyond, err = t.exact.judge(accounts)
	if err != nil {
		loss, _ := t.view.total(accounts)
		return false, &DivergedError{Step: t.applied + 1, Loss: loss, GradNorm: math.Inf(1)}
	}
	return beyond, nil
}

// backward runs this rank's slots. The gradient is divided by the positions of
// the whole step, scored or not, which every rank knows beforehand. When ctx ends
// it makes no further slot.
func (t *Trainer) backward(ctx context.Context) error {
	t.model.ZeroGrads()
	scale := 1 / float64(t.spec.Train.Slots*t.positions())
	v := t.view
	if t.exact != nil {
		t.exact.clear(v.count())
	}
	for v.slot = range v.count() {
		if ctx.Err() != nil {
			return errors.Join(context.Cause(ctx), t.be.Sync())
		}
		t.model.ForwardBackward(v.loader.batches[v.slot].device, scale, t.ready)
		t.be.Copy(v.slotLosses[v.slot], t.model.Losses())
	}
	if v.count() == 0 {
		v.reduction.reached(0)
	}
	return t.be.Sync()
}

// gradReady takes the gradient of the slot at hand from where backward has left it.
func (t *Trainer) gradReady(lo, hi int) {
	v := t.view
	if t.exact != nil {
		t.exact.take(lo, hi, v.slot == 0)
	}
	if v.slot == v.count()-1 {
		v.reduction.reached(lo)
	}
}

// exchangeStep tells and hears what the step came to on every rank.
func (t *Trainer) exchangeStep(ctx context.Context, computed float64) ([]account, error) {
	v := t.view
	losses, err := t.sumLosses(v.count())
	if err != nil {
		return nil, err
	}
	t.at(t.applied+1, Exchange, 0)
	mine := account{compute: computed, wish: Wish(t.wish.Load()), losses: losses, scored: v.scored[:0]}
	if t.exact != nil {
		if mine.peaks, err = t.exact.readPeaks(); err != nil {
			return nil, err
		}
	}
	for i := range losses {
		mine.scored = append(mine.scored, float64(v.loader.batches[i].scored))
	}
	return v.exchange(ctx, collective.Point{Step: t.applied + 1, Phase: "exchange"}, mine)
}

// sumLosses sums the losses of each of the first n micro-batches, in the order of the
// tokens. The result is valid until the next call.
func (t *Trainer) sumLosses(n int) ([]float64, error) {
	v := t.view
	host := v.hostLosses[:4*n*t.positions()]
	if err := t.be.CopyOut(host, v.losses).Wait(); err != nil {
		return nil, err
	}
	sums := v.lossSums[:n]
	clear(sums)
	for i, loss := range kernels.Cast[float32](host) {
		sums[i/t.positions()] += float64(loss)
	}
	return sums, nil
}

func slowest(accounts []account) float64 {
	most := 0.0
	for _, a := range accounts {
		most = max(most, a.compute)
	}
	return most
}

package train

import (
	"context"
	"fmt"
	"math"
	"time"

	"parallax/collective"
	"parallax/kernels"
	"parallax/shard"
)

// Report is one rank's account of an applied step.
type Report struct {
	Step         int64   // steps applied after it
	Loss         float64 // nats per scored token, over the whole step
	GradNorm     float64 // before clipping
	LearningRate float64 // of the matrices
	Tokens       int64   // positions of the whole step
	Seconds      Seconds
	WireBytes    int64 // sent by this rank
	Link         Link
	Recomputed   bool // with sum-exact: a gradient had outgrown its exponent
	Wish         Wish // what all ranks do after this step
}

// Link is how the links of this rank did in a step.
type Link struct {
	Sending   float64 // seconds that the one to the next rank took for what was sent
	Receiving float64 // seconds that tensors which had begun to come were waited for
}

// Seconds is where a step's time went on this rank.
type Seconds struct {
	Total   float64
	Compute float64 // forward and backward
	Reduce  float64 // ring work that nothing hid
	Wait    float64 // for data, and for slower ranks
	Update  float64
}

// Step makes one step. If the ring breaks, nothing has changed: the step can be
// made again, in another view too.
func (t *Trainer) Step(ctx context.Context) (Report, error) {
	if t.broken != nil {
		return Report{}, t.broken
	}
	var w stopwatch
	w.start()
	t.at(t.applied+1, Load, 0)
	if err := t.loadStep(); err != nil {
		return Report{}, err
	}
	waited := w.lap()
	p, err := t.gradient(ctx, &w)
	if err != nil {
		return Report{}, err
	}
	r, err := t.update(ctx, p.accounts)
	if err != nil {
		return Report{}, err
	}
	r.Seconds = Seconds{
		Compute: p.computed, Wait: waited + p.waited, Reduce: p.exposed - p.waited,
		Update: w.lap(), Total: w.total(),
	}
	r.Recomputed = p.again
	r.WireBytes, r.Link = t.view.takeTraffic()
	return r, nil
}

func (t *Trainer) loadStep() error {
	v := t.view
	v.mine.Fill(v.indices, t.applied)
	return v.loader.load(shard.Train, v.indices)
}

// update applies the reduced gradient. Until the updates are gathered it changes
// nothing.
func (t *Trainer) update(ctx context.Context, accounts []account) (Report, error) {
	loss, _ := t.view.total(accounts)
	r := Report{Step: t.applied + 1, Loss: loss, Tokens: int64(t.spec.Train.Slots * t.positions()), Wish: granted(accounts)}
	if t.exact != nil {
		t.exact.restore()
	}
	t.at(r.Step, Update, 0)
	t.opt.Begin()
	norm, err := t.gradNorm()
	if err != nil {
		return Report{}, err
	}
	if !finite(loss) || !finite(norm) {
		return Report{}, &DivergedError{Step: r.Step, Loss: loss, GradNorm: norm}
	}
	r.GradNorm = norm
	if err := t.gatherUpdates(ctx, r.Step); err != nil {
		return Report{}, err
	}
	change, err := t.change()
	if err != nil {
		return Report{}, err
	}
	t.at(r.Step, Apply, 0)
	if r.LearningRate, err = t.finish(r.Step); err != nil {
		return Report{}, err
	}
	t.record(r.Step, change)
	t.at(r.Step, Applied, 0)
	return r, nil
}

// finish applies the update of a step once all of it is gathered, and returns the
// learning rate.
func (t *Trainer) finish(step int64) (rate float64, err error) {
	scale := t.schedule.Scale(int(t.applied))
	t.opt.Finish(int(step), scale)
	if err := t.be.Sync(); err != nil {
		t.broken = fmt.Errorf("step %d broke off half-way on the device: %w", step, err)
		return 0, t.broken
	}
	if t.exact != nil {
		t.exact.apply()
	}
	t.applied = step
	return scale * t.rate, nil
}

func (t *Trainer) gradNorm() (float64, error) {
	err := t.be.CopyOut(t.hostNorm, t.opt.GradSquares()).Wait()
	return math.Sqrt(float64(kernels.Cast[float32](t.hostNorm)[0])), err
}

// gatherUpdates sends this rank's matrices' updates round the ring and takes the
// others'.
func (t *Trainer) gatherUpdates(ctx context.Context, step int64) error {
	v, updates := t.view, t.opt.Updates()
	if v.comm.Size() == 1 || updates == nil {
		return nil
	}
	if group := v.reduction.group; group != nil {
		defer abortWith(ctx, group)()
		return group.AllGather(updates, v.updateBounds).Wait()
	}
	size, total := updates.DType().Size(), v.updateBounds[v.comm.Size()]
	lo, hi := v.updateBounds[v.rank], v.updateBounds[v.rank+1]
	host := kernels.Bytes(v.host)[:total*size]
	if err := t.be.CopyOut(host[lo*size:hi*size], updates.Slice(lo, hi)).Wait(); err != nil {
		return err
	}
	at := collective.Point{Step: step, Phase: "updates"}
	if err := v.comm.AllGather(ctx, at, host, v.byteBounds); err != nil {
		return err
	}
	return waitAll([]kernels.Event{
		t.be.CopyIn(updates.Slice(0, lo), host[:lo*size]),
		t.be.CopyIn(updates.Slice(hi, total), host[hi*size:]),
	})
}

// DivergedError ends a run whose numbers are no longer any.
type DivergedError struct {
	Step           int64
	Loss, GradNorm float64
}

func (e *DivergedError) Error() string {
	return fmt.Sprintf("the run has diverged: at step %d the loss is %v and the gradient's norm %v; go on from an earlier checkpoint with a lower optimizer.lr or optimizer.adam_lr",
		e.Step, e.Loss, e.GradNorm)
}

// takeTraffic is what went over the links since it was last called.
func (v *view) takeTraffic() (sent int64, l Link) {
	now, before := v.comm.Stats(), v.traffic
	v.traffic = now
	return now.WireSent - before.WireSent,
		Link{(now.Sending - before.Sending).Seconds(), (now.Receiving - before.Receiving).Seconds()}
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// stopwatch measures a step's parts, in seconds.
type stopwatch struct{ began, last time.Time }

func (w *stopwatch) start() { w.began = time.Now(); w.last = w.began }

func (w *stopwatch) lap() float64 {
	now := time.Now()
	d := now.Sub(w.last).Seconds()
	w.last = now
	return d
}

func (w *stopwatch) total() float64 { return w.last.Sub(w.began).Seconds() }

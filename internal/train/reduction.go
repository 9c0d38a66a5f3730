package train

import (
	"context"

	"parallax/collective"
	"parallax/kernels"
)

// reduction sums one step's gradient over the ranks, bucket by bucket, while
// backward still runs. A goroutine takes each bucket off the device once its
// gradient is final, sends it round the ring, and puts the sum back.
type reduction struct {
	view *view
	be   kernels.Backend
	flat kernels.Buffer // the gradient, or its integers
	op   collective.Op
	step int64
	at   func(step int64, phase Phase, bucket int)

	next   int // bucket that is handed over next
	ready  chan leaving
	done   chan error
	cancel context.CancelFunc
	closed bool
}

// leaving is a bucket on its way from the device to the host.
type leaving struct {
	bucket int
	copied kernels.Event
}

func (t *Trainer) startReduction(ctx context.Context, step int64) *reduction {
	ctx, cancel := context.WithCancel(ctx)
	r := &reduction{
		view: t.view, be: t.be, flat: t.model.Grads(), op: t.op, step: step, at: t.at,
		ready: make(chan leaving, len(t.view.buckets)), done: make(chan error, 1), cancel: cancel,
	}
	if t.exact != nil {
		r.flat = t.exact.sum
	}
	go func() { r.done <- r.run(ctx) }()
	return r
}

// reached says that everything from element lo on is final.
func (r *reduction) reached(lo int) {
	for ; r.next < len(r.view.buckets) && r.view.buckets[r.next].lo >= lo; r.next++ {
		b := r.view.buckets[r.next]
		copied := r.be.CopyOut(r.view.hostBytes(b), r.flat.Slice(b.lo, b.hi))
		r.ready <- leaving{r.next, copied}
	}
}

// finish waits until the whole gradient is reduced and back on the device.
func (r *reduction) finish() error {
	defer r.cancel()
	r.close()
	return <-r.done
}

// abandon ends the reduction, whatever it has done.
func (r *reduction) abandon() {
	r.cancel()
	r.close()
	<-r.done
}

func (r *reduction) close() {
	if !r.closed {
		r.closed = true
		close(r.ready)
	}
}

func (r *reduction) run(ctx context.Context) error {
	var back []kernels.Event
	for l := range r.ready {
		if err := l.copied.Wait(); err != nil {
			return err
		}
		r.at(r.step, Reduce, l.bucket)
		b := r.view.buckets[l.bucket]
		at := collective.Point{Step: r.step, Phase: "gradients", Bucket: l.bucket}
		if err := r.allReduce(ctx, at, b); err != nil {
			return err
		}
		back = append(back, r.be.CopyIn(r.flat.Slice(b.lo, b.hi), r.view.hostBytes(b)))
	}
	return waitAll(back)
}

func (r *reduction) allReduce(ctx context.Context, at collective.Point, b span) error {
	if r.op == collective.SumI32 {
		host := kernels.Cast[int32](r.view.hostBytes(b))
		return r.view.comm.AllReduceInts(ctx, at, host, host)
	}
	host := r.view.host[b.lo:b.hi]
	return r.view.comm.AllReduce(ctx, at, host, host, r.op)
}

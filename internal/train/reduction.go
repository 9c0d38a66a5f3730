package train

import (
	"context"

	"parallax/collective"
	"parallax/kernels"
)

// reduction sums a step's gradient over the ranks of a view, bucket by bucket, while
// backward still runs. A goroutine takes each bucket off the device once its
// gradient is final, sends it round the ring, and puts the sum back; where the devices
// have a fabric of their own, they add the bucket where it is. A rank alone has no
// buckets and nothing to do.
type reduction struct {
	comm    *collective.Comm
	be      kernels.Backend
	op      collective.Op
	at      func(step int64, phase Phase, bucket int)
	buckets []bucket
	ready   chan leaving // of a pass; ends with a leaving of no event
	done    chan error
	back    []kernels.Event
	group   kernels.Group  // of the devices, or nil
	rounded kernels.Buffer // the gradient in bfloat16, where that is what the group adds

	step   int64
	next   int // bucket that is handed over next
	cancel context.CancelFunc
}

// bucket is a part of the gradient, or of its integers, on the device and on the host.
type bucket struct {
	span
	device  kernels.Buffer
	travels kernels.Buffer // through a group: device itself, or the same in bfloat16
	host    []float32
}

// leaving is a bucket on its way from the device to the host, or through the group.
type leaving struct {
	bucket int
	gone   kernels.Event
}

// newReduction is for a gradient that goes through host, in the given cuts.
func (t *Trainer) newReduction(comm *collective.Comm, cuts []span, host []float32) *reduction {
	r := &reduction{comm: comm, be: t.be, op: t.op, at: t.at, ready: make(chan leaving, len(cuts)+1), done: make(chan error, 1)}
	flat := t.model.Grads()
	if t.exact != nil {
		flat = t.exact.sum
	}
	for _, c := range cuts {
		device := flat.Slice(c.lo, c.hi)
		r.buckets = append(r.buckets, bucket{c, device, device, host[c.lo:c.hi]})
	}
	return r
}

// start begins a pass of a step. It ends with finish or abandon.
func (r *reduction) start(ctx context.Context, step int64) {
	r.step, r.next = step, 0
	if len(r.buckets) == 0 {
		return
	}
	for len(r.ready) > 0 {
		<-r.ready // of a pass that failed
	}
	ctx, r.cancel = context.WithCancel(ctx)
	go func() { r.done <- r.run(ctx) }()
}

// reached says that everything from element lo on is final.
func (r *reduction) reached(lo int) {
	for ; r.next < len(r.buckets) && r.buckets[r.next].lo >= lo; r.next++ {
		b := &r.buckets[r.next]
		if r.group == nil {
			r.ready <- leaving{r.next, r.be.CopyOut(kernels.Bytes(b.host), b.device)}
			continue
		}
		if b.travels != b.device {
			r.be.Copy(b.travels, b.device)
		}
		r.ready <- leaving{r.next, r.group.AllReduce(b.travels)}
	}
}

// finish waits until the whole gradient is reduced and back on the device.
func (r *reduction) finish() error {
	if len(r.buckets) == 0 {
		return nil
	}
	defer r.cancel()
	r.ready <- leaving{}
	if err := <-r.done; err != nil || r.rounded == nil {
		return err
	}
	for i := range r.buckets {
		r.be.Copy(r.buckets[i].device, r.buckets[i].travels)
	}
	return nil
}

// abandon ends the reduction, whatever it has done.
func (r *reduction) abandon() {
	if len(r.buckets) == 0 {
		return
	}
	r.cancel()
	r.ready <- leaving{}
	<-r.done
}

func (r *reduction) run(ctx context.Context) error {
	r.back = r.back[:0]
	if r.group != nil {
		defer abortWith(ctx, r.group)()
	}
	for l := <-r.ready; l.gone != nil; l = <-r.ready {
		if err := l.gone.Wait(); err != nil {
			return err
		}
		r.at(r.step, Reduce, l.bucket)
		if r.group != nil {
			continue
		}
		b := &r.buckets[l.bucket]
		if err := r.allReduce(ctx, collective.Point{Step: r.step, Phase: "gradients", Bucket: l.bucket}, b.host); err != nil {
			return err
		}
		r.back = append(r.back, r.be.CopyIn(b.device, kernels.Bytes(b.host)))
	}
	return waitAll(r.back)
}

func (r *reduction) allReduce(ctx context.Context, at collective.Point, host []float32) error {
	if r.op == collective.SumI32 {
		ints := kernels.Cast[int32](kernels.Bytes(host))
		return r.comm.AllReduceInts(ctx, at, ints, ints)
	}
	return r.comm.AllReduce(ctx, at, host, host, r.op)
}

func (r *reduction) free() {
	if r.group != nil {
		r.group.Close()
	}
	if r.rounded != nil {
		r.rounded.Free()
	}
}

package train

import (
	"bytes"
	"context"
	"fmt"

	"parallax/collective"
	"parallax/kernels"
	"parallax/shard"
)

// buffers are all of a run's state but the number of steps, in a fixed order.
func (t *Trainer) buffers() []kernels.Buffer {
	return append([]kernels.Buffer{t.model.Params()}, t.opt.StateBuffers()...)
}

// exponents is the memory of the exponents of sum-exact; empty without.
func (t *Trainer) exponents() []byte {
	if t.exact == nil {
		return nil
	}
	return kernels.Bytes(t.exact.exponents)
}

// hostMemory is as much as a buffer has.
func (t *Trainer) hostMemory(b kernels.Buffer) []byte {
	return t.be.HostAlloc(b.Len() * b.DType().Size())
}

func (t *Trainer) copyOut(b kernels.Buffer) ([]byte, error) {
	host := t.hostMemory(b)
	return host, t.be.CopyOut(host, b).Wait()
}

// Sync is a rank's part in making the states of a ring equal.
type Sync struct {
	Root   int    // whose state goes round
	Digest []byte // of that state
	Fetch  bool   // this rank takes it for its own; else it holds the same, and passes it on
	Keep   bool   // this rank keeps what it holds until all of the other is there
}

// Synchronize sends the root's state round the ring. If the ring breaks meanwhile, a
// rank that keeps what it holds still has that, for which it needs host memory for all
// that comes. Any other that fetches has no state then, and says so until it has
// fetched again.
func (t *Trainer) Synchronize(ctx context.Context, s Sync) error {
	part := func() error { return t.passState(ctx, s.Root) }
	if s.Fetch && t.view.rank != s.Root {
		part = func() error { return t.fetchState(ctx, s) }
	}
	if err := part(); err != nil {
		return err
	}
	return t.view.comm.Barrier(ctx, collective.Point{Phase: "state", Bucket: -1})
}

// Whole is nil, or says why the state that this rank holds must not be used.
func (t *Trainer) Whole() error { return t.broken }

// passState sends this rank's state, which is the root's, on.
func (t *Trainer) passState(ctx context.Context, root int) error {
	if err := t.passPart(ctx, 0, t.head(), root); err != nil {
		return err
	}
	for i, b := range t.buffers() {
		host, err := t.copyOut(b)
		if err != nil {
			return err
		}
		if err := t.passPart(ctx, i+1, host, root); err != nil {
			return err
		}
	}
	return nil
}

// passPart sends a part of the root's image on, or brings it into host.
func (t *Trainer) passPart(ctx context.Context, part int, host []byte, root int) error {
	return t.view.comm.Broadcast(ctx, collective.Point{Phase: "state", Bucket: part}, host, root) // the ranks' steps differ
}

// fetchState takes the root's state for this rank's own.
func (t *Trainer) fetchState(ctx context.Context, s Sync) error {
	if s.Keep && t.broken == nil {
		return t.fetchAside(ctx, s)
	}
	t.broken = errHalfFetched
	head := t.head()
	if err := t.passPart(ctx, 0, head, s.Root); err != nil {
		return err
	}
	for i, b := range t.buffers() {
		host := t.hostMemory(b)
		if err := t.passPart(ctx, i+1, host, s.Root); err != nil {
			return err
		}
		if err := t.be.CopyIn(b, host).Wait(); err != nil {
			return err
		}
	}
	if err := t.settle(head); err != nil {
		return err
	}
	got, err := t.Digest()
	if err == nil {
		err = s.check(got)
	}
	t.broken = err
	return err
}

// fetchAside changes nothing before all of the state is there.
func (t *Trainer) fetchAside(ctx context.Context, s Sync) error {
	image := [][]byte{t.head()}
	for _, b := range t.buffers() {
		image = append(image, t.hostMemory(b))
	}
	for i, part := range image {
		if err := t.passPart(ctx, i, part, s.Root); err != nil {
			return err
		}
	}
	got, err := t.imageDigest(image)
	if err == nil {
		err = s.check(got)
	}
	if err != nil {
		return err
	}
	t.broken = errHalfFetched
	for i, b := range t.buffers() {
		if err := t.be.CopyIn(b, image[i+1]).Wait(); err != nil {
			return err
		}
	}
	return t.settle(image[0])
}

// DigestError says that another state came than was sent.
type DigestError struct{ Got, Want []byte }

func (e *DigestError) Error() string {
	return fmt.Sprintf("the state that came has digest %.8x, and was sent with digest %.8x", e.Got, e.Want)
}

func (s Sync) check(got []byte) error {
	if !bytes.Equal(got, s.Digest) {
		return &DigestError{got, s.Digest}
	}
	return nil
}

// TrainTokens is the number of tokens that an epoch has.
func (t *Trainer) TrainTokens() int { return t.source.Sequences(shard.Train) * t.source.SeqLen() }

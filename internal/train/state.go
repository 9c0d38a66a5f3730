package train

import (
	"context"
	"encoding/binary"

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

func (t *Trainer) copyOut(b kernels.Buffer) ([]byte, error) {
	host := t.be.HostAlloc(b.Len() * b.DType().Size())
	return host, t.be.CopyOut(host, b).Wait()
}

// Synchronize sends the root's state round the ring. Ranks that fetch take it for
// theirs; the others, who hold the same already, only pass it on. If the ring
// breaks meanwhile the state of those who fetch is unusable, and the trainer says
// so until it has fetched again.
func (t *Trainer) Synchronize(ctx context.Context, root int, fetch bool) error {
	fetch = fetch && t.view.rank != root
	if err := t.passState(ctx, root, fetch); err != nil {
		if fetch {
			t.broken = err
		}
		return err
	}
	if !fetch {
		return nil
	}
	t.broken, t.filled = nil, nil
	t.model.SyncWork()
	return t.be.Sync()
}

// Whole is nil, or says why the state that this rank holds must not be used.
func (t *Trainer) Whole() error { return t.broken }

func (t *Trainer) passState(ctx context.Context, root int, fetch bool) error {
	at := collective.Point{Phase: "state"} // the ranks' steps differ
	head := t.head()
	if err := t.view.comm.Broadcast(ctx, at, head, root); err != nil {
		return err
	}
	for i, b := range t.buffers() {
		at.Bucket = i + 1
		if err := t.passBuffer(ctx, at, b, root, fetch); err != nil {
			return err
		}
	}
	if fetch {
		t.applied = int64(binary.LittleEndian.Uint64(head))
		copy(t.exponents(), head[8:])
	}
	return t.view.comm.Barrier(ctx, at)
}

func (t *Trainer) passBuffer(ctx context.Context, at collective.Point, b kernels.Buffer, root int, fetch bool) error {
	host, err := t.copyOut(b)
	if err != nil {
		return err
	}
	if err := t.view.comm.Broadcast(ctx, at, host, root); err != nil || !fetch {
		return err
	}
	return t.be.CopyIn(b, host).Wait()
}

// TrainTokens is the number of tokens that an epoch has.
func (t *Trainer) TrainTokens() int { return t.source.Sequences(shard.Train) * t.source.SeqLen() }

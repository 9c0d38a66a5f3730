package train

import (
	"context"
	"crypto/sha256"
	"encoding/binary"

	"parallax/collective"
	"parallax/kernels"
	"parallax/shard"
)

// buffers are all of a run's state but the number of steps, in a fixed order.
func (t *Trainer) buffers() []kernels.Buffer {
	return append([]kernels.Buffer{t.model.Params()}, t.opt.StateBuffers()...)
}

// Digest is the SHA-256 of the state: steps applied, parameters, optimizer, and the
// exponents of sum-exact.
func (t *Trainer) Digest() ([]byte, error) {
	h := sha256.New()
	_ = binary.Write(h, binary.LittleEndian, t.applied)
	h.Write(t.exponents())
	for _, b := range t.buffers() {
		host, err := t.copyOut(b)
		if err != nil {
			return nil, err
		}
		h.Write(host)
	}
	return h.Sum(nil), nil
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

// Synchronize replaces the state of every rank by the root's. If the ring breaks
// meanwhile the state of the others is unusable, and the trainer says so from
// then on.
func (t *Trainer) Synchronize(ctx context.Context, root int) error {
	if err := t.receiveState(ctx, root); err != nil {
		if t.view.rank != root {
			t.broken = err
		}
		return err
	}
	t.broken = nil
	t.model.SyncWork()
	return t.be.Sync()
}

func (t *Trainer) receiveState(ctx context.Context, root int) error {
	at := collective.Point{Phase: "state"} // the ranks' steps differ
	head := append(binary.LittleEndian.AppendUint64(nil, uint64(t.applied)), t.exponents()...)
	if err := t.view.comm.Broadcast(ctx, at, head, root); err != nil {
		return err
	}
	for i, b := range t.buffers() {
		at.Bucket = i + 1
		if err := t.broadcastBuffer(ctx, at, b, root); err != nil {
			return err
		}
	}
	t.applied = int64(binary.LittleEndian.Uint64(head))
	copy(t.exponents(), head[8:])
	return t.view.comm.Barrier(ctx, at)
}

func (t *Trainer) broadcastBuffer(ctx context.Context, at collective.Point, b kernels.Buffer, root int) error {
	host, err := t.copyOut(b)
	if err != nil {
		return err
	}
	if err := t.view.comm.Broadcast(ctx, at, host, root); err != nil {
		return err
	}
	return t.be.CopyIn(b, host).Wait()
}

// TrainTokens is the number of tokens that an epoch has.
func (t *Trainer) TrainTokens() int { return t.source.Sequences(shard.Train) * t.source.SeqLen() }

package transfer

import (
	"context"
	"fmt"

	pb "parallax/proto/parallax/v1"
)

// change is one that has come whole, or the news that the ranks have left their ring.
type change struct {
	step  int64
	bytes []byte
	left  *departure
}

// maxQueued is how many changes may wait to be replayed, however small they are.
const maxQueued = 1024

// newQueue makes room for as many bytes of changes as a source's log holds.
func (f *Fetch) newQueue() chan change {
	limit := max(minLogBytes, 2*f.Target.StateBytes())
	return make(chan change, min(max(limit/max(f.Target.ChangeBytes(), 1), 2), maxQueued))
}

// changes is the stream of those that go on from a snapshot.
type changes struct {
	*Fetch
	queue chan<- change
	last  int64  // step of the last one that is whole
	next  []byte // the one that is coming, as far as it has
	piece incoming
}

// follow queues the changes after a step until ctx ends.
func (f *Fetch) follow(ctx context.Context, step int64, queue chan<- change) error {
	c := &changes{Fetch: f, queue: queue, last: step}
	c.piece.payload = make([]byte, 0, PieceBytes)
	return f.again(ctx, func(ctx context.Context) (bool, error) {
		r := &pb.StateRequest{Step: &c.last, Offset: int64(len(c.next))}
		came, err := f.receive(ctx, pb.StateClient.Changes, r, &c.piece, func() error { return c.write(ctx) })
		if err == nil {
			err = fmt.Errorf("the source ended its changes after step %d", c.last)
		}
		return came, err
	})
}

// write takes the next piece.
func (c *changes) write(ctx context.Context) error {
	p := &c.piece
	if p.Kind == Left {
		return c.push(ctx, change{left: &departure{uint64(p.Offset), p.Step}})
	}
	if err := c.expect(p.Header); err != nil {
		return err
	}
	if c.next == nil {
		c.next = c.Alloc(int(p.Total))[:0]
	}
	c.next = append(c.next, p.payload...)
	if int64(len(c.next)) < p.Total {
		return nil
	}
	whole := c.next
	c.last, c.next = p.Step, nil
	return c.push(ctx, change{step: p.Step, bytes: whole})
}

func (c *changes) expect(h Header) error {
	due, total := int64(len(c.next)), c.Target.ChangeBytes()
	switch {
	case h.Kind != Change || h.Step != c.last+1 || h.Offset != due:
		return fmt.Errorf("byte %d of the change of step %d is due, and byte %d of kind %#x of step %d comes", due, c.last+1, h.Offset, uint8(h.Kind), h.Step)
	case h.Total != total:
		return unfit{fmt.Errorf("the source's change of step %d has %d bytes, and ours have %d: are both of one version?", h.Step, h.Total, total)}
	}
	return nil
}

func (c *changes) push(ctx context.Context, next change) error {
	select {
	case c.queue <- next:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

package collective

import (
	"context"
	"fmt"
)

// AllGather hands every rank's part of buf to all: rank i's is
// buf[bounds[i]:bounds[i+1]]. bounds is as for ReduceScatter, in bytes.
func (c *Comm) AllGather(ctx context.Context, at Point, buf []byte, bounds []int) error {
	if err := c.checkBounds(bounds, len(buf)); err != nil {
		return fmt.Errorf("collective: all-gather of %v: %w", at, err)
	}
	return c.gather(ctx, at, AllGather, buf, bounds)
}

// Barrier returns when all ranks have called it.
func (c *Comm) Barrier(ctx context.Context, at Point) error {
	return c.gather(ctx, at, Barrier, make([]byte, c.Size()), split(c.Size(), c.Size()))
}

func (c *Comm) gather(ctx context.Context, at Point, phase Phase, buf []byte, bounds []int) error {
	if err := c.begin(ctx, at, phase); err != nil {
		return err
	}
	defer c.end()
	if c.Size() == 1 {
		return nil
	}
	return c.circulate(&lap{
		ctx: ctx, at: at, bounds: bounds, width: 1, chunk: c.cfg.ChunkBytes, hops: c.Size() - 1,
		phase: func(int) Phase { return phase },
		load:  func(lo, hi int) *Buffer { return c.lend(buf[lo:hi]) },
		place: func(_, lo, hi int) []byte { return buf[lo:hi] },
		turn:  func(_, lo, hi int, b *Buffer) *Buffer { return c.deliver(buf[lo:hi], b) },
	})
}

// Broadcast hands root's buf to all. It has the same length on all ranks. The
// root returns when its bytes have left, which is before they have arrived:
// before it closes, a Barrier is due.
func (c *Comm) Broadcast(ctx context.Context, at Point, buf []byte, root int) error {
	if root < 0 || root >= c.Size() {
		return fmt.Errorf("collective: broadcast of %v from rank %d in a ring of %d", at, root, c.Size())
	}
	if err := c.begin(ctx, at, Broadcast); err != nil {
		return err
	}
	defer c.end()
	if c.Size() == 1 {
		return nil
	}
	l := &lap{
		ctx: ctx, at: at, bounds: []int{0, len(buf)}, width: 1, chunk: c.cfg.ChunkBytes,
		phase: func(int) Phase { return Broadcast },
	}
	if c.next.peer != root {
		l.owed = l.rounds()
	}
	return c.settle(l, c.relayAll(l, buf, root))
}

// relayAll moves all chunks of a broadcast.
func (c *Comm) relayAll(l *lap, buf []byte, root int) error {
	if c.Rank() != root {
		c.posts.set(c.consumed, func(due []post) []post {
			for k := range l.rounds() {
				lo, hi := l.span(0, k)
				due = append(due, post{c.header(l, 0, root, k, hi-lo), buf[lo:hi]})
			}
			return due
		})
	}
	for k := range l.rounds() {
		lo, hi := l.span(0, k)
		if err := c.relay(l, k, buf[lo:hi], root); err != nil {
			return err
		}
	}
	return nil
}

// relay moves chunk k of a broadcast: from buf at the root, into buf elsewhere.
func (c *Comm) relay(l *lap, k int, buf []byte, root int) (err error) {
	h := c.header(l, 0, root, k, len(buf))
	var b *Buffer
	if c.Rank() == root {
		b = c.lend(buf)
	} else if b, err = c.recv(l, h); err != nil {
		return err
	} else {
		b = c.deliver(buf, b)
	}
	if c.next.peer == root {
		b.Release()
		return nil
	}
	return c.send(l, Frame{Header: h, Payload: b})
}

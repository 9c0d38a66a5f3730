package collective

import (
	"context"
	"sync"
)

// minLoan is the least that is worth lending: less is copied, so that small
// collectives need not wait for their last bytes to leave.
const minLoan = 32 << 10

// loan is a Buffer over memory of whoever called the collective.
type loan struct {
	Buffer
	whole [1][]byte
	back  func()
}

// loans counts the memory that frames on their way refer to, so that no collective
// returns before it is its caller's again.
type loans struct {
	mu   sync.Mutex
	free []*loan
	out  int
	none chan struct{} // closed when out falls to 0; nil: nobody waits
}

func (p *loans) lend(b []byte) *Buffer {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out++
	var l *loan
	if n := len(p.free); n > 0 {
		l, p.free = p.free[n-1], p.free[:n-1]
	} else {
		l = new(loan)
		l.back = func() { p.put(l) }
	}
	l.whole[0] = b
	l.Parts = l.whole[:]
	l.Own(l.back)
	return &l.Buffer
}

func (p *loans) put(l *loan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.whole[0] = nil
	p.free = append(p.free, l)
	p.out--
	if p.out == 0 && p.none != nil {
		close(p.none)
		p.none = nil
	}
}

// settled is closed when nothing is lent any more.
func (p *loans) settled() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.out == 0 {
		done := make(chan struct{})
		close(done)
		return done
	}
	if p.none == nil {
		p.none = make(chan struct{})
	}
	return p.none
}

// lend is a payload of memory that the collective's caller owns, or a copy of
// little memory.
func (c *Comm) lend(b []byte) *Buffer {
	if len(b) < minLoan {
		return c.copied(b)
	}
	return c.loans.lend(b)
}

func (c *Comm) copied(b []byte) *Buffer {
	own := c.pool.get(len(b))
	copy(own.Parts[0], b)
	return &own.Buffer
}

// deliver puts a payload where it belongs, unless it has been placed there, and
// returns what can be sent on.
func (c *Comm) deliver(dst []byte, b *Buffer) *Buffer {
	if !placedAt(b, dst) {
		b.AppendTo(dst[:0])
		return b
	}
	b.Release()
	return c.lend(dst)
}

// settle ends a lap with the result err: when it returns, neither frames on their
// way nor the reader of the previous rank's refer to the caller's memory. If the
// ring has broken that takes until the transport has ended, at most.
func (c *Comm) settle(l *lap, err error) error {
	settled := c.loans.settled()
	if err == nil {
		select {
		case <-settled:
		case <-c.failed:
		case <-l.ctx.Done():
			err = c.fail(-1, context.Cause(l.ctx))
		}
	}
	if c.broken() != nil {
		c.recall()
		select {
		case <-settled:
		case <-c.over:
		}
	}
	c.posts.clear()
	return err
}

// recall takes back what waits to be sent: nobody may be left to send it.
func (c *Comm) recall() {
	for {
		select {
		case f := <-c.next.out:
			f.Payload.Release()
		default:
			return
		}
	}
}

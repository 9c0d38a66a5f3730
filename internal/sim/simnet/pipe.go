package simnet

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// window is how many bytes may wait in a pipe before its writer does.
const window = 1 << 20

// pipe is one direction of a connection. The network's lock guards it.
type pipe struct {
	net      *Network
	from, to *Process
	moved    *sync.Cond // something came, went, or can now

	queue []segment
	bytes int   // in queue
	ended error // the reader's end is closed, and why; what comes is thrown away
	done  bool  // the writer's end is closed: no segment follows
}

// segment is what was written at once: bytes, or the end of the connection.
type segment struct {
	due  time.Time
	data []byte
	end  error // io.EOF, or a reset; nil: there is more
}

func newPipe(from, to *Process) *pipe {
	return &pipe{net: from.net, from: from, to: to, moved: sync.NewCond(&from.net.mu)}
}

// read takes what has arrived, and waits for some.
func (p *pipe) read(b []byte, deadline *time.Time) (int, error) {
	for {
		switch {
		case p.ended != nil:
			return 0, p.ended
		case passed(*deadline):
			return 0, os.ErrDeadlineExceeded
		case p.arrived():
			return p.take(b)
		}
		p.wait(p.next(*deadline))
	}
}

func (p *pipe) arrived() bool {
	return len(p.queue) > 0 && !now().Before(p.queue[0].due) && p.net.open(p.from, p.to)
}

// next is when read has to look again: at the deadline, or when the first segment
// that is under way arrives. Zero: when something changes.
func (p *pipe) next(deadline time.Time) time.Time {
	if len(p.queue) > 0 && now().Before(p.queue[0].due) && (deadline.IsZero() || p.queue[0].due.Before(deadline)) {
		return p.queue[0].due
	}
	return deadline
}

func (p *pipe) take(b []byte) (int, error) {
	head := &p.queue[0]
	if head.end != nil {
		return 0, head.end
	}
	n := copy(b, head.data)
	head.data = head.data[n:]
	p.bytes -= n
	if len(head.data) == 0 {
		p.queue = p.queue[1:]
	}
	p.moved.Broadcast()
	return n, nil
}

// write sends b on its way, and waits for room.
func (p *pipe) write(b []byte, deadline *time.Time) (int, error) {
	for {
		switch {
		case p.done:
			return 0, net.ErrClosed
		case p.ended != nil && p.net.open(p.from, p.to):
			return 0, syscall.EPIPE
		case passed(*deadline):
			return 0, os.ErrDeadlineExceeded
		case p.bytes < window:
			p.send(segment{data: append([]byte(nil), b...)})
			return len(b), nil
		}
		p.wait(*deadline)
	}
}

func (p *pipe) send(s segment) {
	s.due = now().Add(p.net.delay(p.from, p.to))
	if n := len(p.queue); n > 0 && s.due.Before(p.queue[n-1].due) {
		s.due = p.queue[n-1].due
	}
	p.queue = append(p.queue, s)
	p.bytes += len(s.data)
	p.moved.Broadcast()
}

// finish closes the writer's end: the reader learns of it behind what was written.
func (p *pipe) finish(end error) {
	if p.done {
		return
	}
	p.done = true
	p.send(segment{end: end})
}

// abandon closes the reader's end.
func (p *pipe) abandon() {
	if p.ended == nil {
		p.ended = net.ErrClosed
		p.moved.Broadcast()
	}
}

// wait waits for a move, or until a time; zero: for a move.
func (p *pipe) wait(until time.Time) {
	if !until.IsZero() {
		defer time.AfterFunc(until.Sub(now()), func() {
			p.net.mu.Lock()
			defer p.net.mu.Unlock()
			p.moved.Broadcast()
		}).Stop()
	}
	p.moved.Wait()
}

func passed(deadline time.Time) bool { return !deadline.IsZero() && !now().Before(deadline) }

// conn is one end of a connection.
type conn struct {
	process       *Process
	in, out       *pipe
	local, remote address

	readBy, writeBy time.Time
}

// pair is the two ends of a connection. The caller holds the lock.
func pair(a *Process, at address, b *Process, bt address) (*conn, *conn) {
	there, back := newPipe(a, b), newPipe(b, a)
	ca := &conn{process: a, in: back, out: there, local: at, remote: bt}
	cb := &conn{process: b, in: there, out: back, local: bt, remote: at}
	a.conns, b.conns = append(a.conns, ca), append(b.conns, cb)
	return ca, cb
}

func (c *conn) Read(b []byte) (int, error) {
	c.process.net.mu.Lock()
	defer c.process.net.mu.Unlock()
	return c.in.read(b, &c.readBy)
}

func (c *conn) Write(b []byte) (int, error) {
	c.process.net.mu.Lock()
	defer c.process.net.mu.Unlock()
	return c.out.write(b, &c.writeBy)
}

// Close closes both ways. What was written still arrives.
func (c *conn) Close() error {
	c.process.net.mu.Lock()
	defer c.process.net.mu.Unlock()
	c.end(io.EOF)
	return nil
}

// end closes both ways; the other side learns why.
func (c *conn) end(why error) {
	c.out.finish(why)
	c.in.abandon()
	c.process.forget(c)
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) SetDeadline(t time.Time) error      { return c.setDeadline(t, &c.readBy, &c.writeBy) }
func (c *conn) SetReadDeadline(t time.Time) error  { return c.setDeadline(t, &c.readBy) }
func (c *conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(t, &c.writeBy) }

func (c *conn) setDeadline(t time.Time, which ...*time.Time) error {
	c.process.net.mu.Lock()
	defer c.process.net.mu.Unlock()
	for _, deadline := range which {
		*deadline = t
	}
	c.in.moved.Broadcast()
	c.out.moved.Broadcast()
	return nil
}

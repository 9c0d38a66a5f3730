package simnet

import (
	"io"
	"net"
)

// listener is where connections wait to be accepted.
type listener struct {
	process *Process
	address address
	waiting []*conn
	closed  bool
}

func (l *listener) Addr() net.Addr { return l.address }

func (l *listener) Accept() (net.Conn, error) {
	n := l.process.net
	n.mu.Lock()
	defer n.mu.Unlock()
	for !l.closed && (len(l.waiting) == 0 || l.process.frozen) {
		n.changed.Wait()
	}
	if l.closed {
		return nil, net.ErrClosed
	}
	c := l.waiting[0]
	l.waiting = l.waiting[1:]
	return c, nil
}

func (l *listener) Close() error {
	n := l.process.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if l.closed {
		return net.ErrClosed
	}
	l.closed = true
	for _, c := range l.waiting {
		c.end(io.EOF)
	}
	n.changed.Broadcast()
	return nil
}

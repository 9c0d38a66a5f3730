package tcpring

import (
	"fmt"
	"io"
	"net"

	"parallax/collective"
	"parallax/internal/direct"
)

// Edge is one rank's end of a link. It implements collective.Placer.
type Edge struct {
	conn *direct.Conn
	head [collective.HeaderSize]byte // of the frame being received
	out  [collective.HeaderSize]byte // of the frame being sent
	iov  net.Buffers                 // of the frame being sent
	pool pool
}

// NewEdge is the link over a connection that has been greeted.
func NewEdge(conn *direct.Conn) *Edge { return &Edge{conn: conn} }

// Close ends the link. Calls blocked in Send and Recv return with an error.
func (e *Edge) Close() error { return e.conn.Close() }

// Send implements collective.Edge. The payload's bytes have left when it returns.
// Whatever goes wrong, Recv tells why: what the neighbour has sent before it went
// still lies there to be read.
func (e *Edge) Send(f collective.Frame) error {
	f.Header.Put(e.out[:])
	whole := append(e.iov[:0], e.out[:])
	if f.Payload != nil {
		whole = append(whole, f.Payload.Parts...)
	}
	e.iov = whole
	err := e.conn.WriteAll(whole)
	clear(e.iov)
	f.Payload.Release()
	if err != nil {
		return io.EOF
	}
	return nil
}

// Recv implements collective.Edge.
func (e *Edge) Recv() (collective.Frame, error) {
	return e.RecvInto(func(collective.Header) []byte { return nil })
}

// RecvInto implements collective.Placer. A header is checked before memory is
// taken for what it announces.
func (e *Edge) RecvInto(place func(collective.Header) []byte) (collective.Frame, error) {
	if _, err := io.ReadFull(e.conn, e.head[:]); err != nil {
		return collective.Frame{}, direct.Ended(err)
	}
	h, err := collective.ParseHeader(e.head[:])
	if err != nil {
		return collective.Frame{}, err
	}
	f := collective.Frame{Header: h}
	if h.Length == 0 {
		return f, nil
	}
	var dst []byte
	if h.Kind == collective.Data {
		dst = place(h)
	}
	f.Payload = e.pool.get(int(h.Length), dst)
	if _, err := io.ReadFull(e.conn, f.Payload.Parts[0]); err != nil {
		f.Payload.Release()
		return collective.Frame{}, fmt.Errorf("within %v: %w", h, direct.Ended(err))
	}
	return f, nil
}

// pool keeps the payloads of one edge.
type pool struct{ free collective.FreeList[payload] }

// payload is a Buffer of the edge's own memory, or of memory that it was placed in.
type payload struct {
	collective.Buffer
	bytes []byte
	whole [1][]byte
	back  func()
}

// get returns a payload of n bytes: at dst, if that is not nil.
func (p *pool) get(n int, dst []byte) *collective.Buffer {
	own := p.free.Take(p.fresh)
	own.Writable = dst == nil
	if dst == nil {
		if cap(own.bytes) < n {
			own.bytes = make([]byte, n)
		}
		dst = own.bytes[:n]
	}
	own.whole[0] = dst
	own.Parts = own.whole[:]
	own.Own(own.back)
	return &own.Buffer
}

func (p *pool) fresh() *payload {
	own := new(payload)
	own.back = func() {
		own.whole[0] = nil
		p.free.Put(own)
	}
	return own
}

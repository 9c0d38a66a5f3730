// Package mem is a collective.Transport between ranks of one process, for tests:
// of package collective itself, and of everything that trains over it.
//
// Faults are given by coordinate: which rank, in which phase of which collective
// of which step. They happen when that rank sends its first data frame there, so
// a test needs no timing and repeats exactly. Nothing here sleeps, except for
// the fault that delays; under testing/synctest that takes no time either.
//
// Frame headers are encoded and parsed on the way, and payloads copied, as on a
// wire. See package collective/grpcring for the transport
// that runs are made of.
package mem

import (
	"fmt"
	"io"
	"sync"

	"parallax/collective"
)

// depth is how many frames an edge holds before it blocks the sender.
const depth = 2

// packet is a frame on its way.
type packet struct {
	header  [collective.HeaderSize]byte
	payload *collective.Buffer
}

// link is the pair of queues between a rank and the next one.
type link struct {
	forward, backward chan packet
	cut               chan struct{}
	once              sync.Once
}

func (l *link) sever() { l.once.Do(func() { close(l.cut) }) }

// Node is one rank's transport.
type Node struct {
	rank       int
	prev, next *link
	copies     copies
	mu         sync.Mutex
	faults     []Fault // not yet happened
	stalled    chan struct{}
	stall      sync.Once
	closed     chan struct{}
	closing    sync.Once
}

// NewRing joins n ranks to a ring in which the faults will happen.
func NewRing(n int, faults ...Fault) []*Node {
	nodes := make([]*Node, n)
	for i := range nodes {
		nodes[i] = &Node{rank: i, stalled: make(chan struct{}), closed: make(chan struct{})}
	}
	for i, node := range nodes {
		l := &link{forward: make(chan packet, depth), backward: make(chan packet, depth), cut: make(chan struct{})}
		node.next, nodes[(i+1)%n].prev = l, l
	}
	for _, f := range faults {
		nodes[f.Rank].faults = append(nodes[f.Rank].faults, f)
	}
	return nodes
}

// Next implements collective.Transport.
func (n *Node) Next() collective.Edge {
	return &edge{node: n, link: n.next, out: n.next.forward, in: n.next.backward, data: true}
}

// Prev implements collective.Transport.
func (n *Node) Prev() collective.Edge {
	return &edge{node: n, link: n.prev, out: n.prev.backward, in: n.prev.forward}
}

// Close implements collective.Transport. What was sent before can still be received.
// The links of a stopped process stay up: it is not there to close them.
func (n *Node) Close() error {
	n.closing.Do(func() { close(n.closed) })
	select {
	case <-n.stalled:
	default:
		n.Kill()
	}
	return nil
}

// Kill breaks both links at once, as the death of the process does.
func (n *Node) Kill() {
	n.prev.sever()
	n.next.sever()
}

// Stall keeps the links up and moves nothing over them any more, as a stopped
// process does.
func (n *Node) Stall() { n.stall.Do(func() { close(n.stalled) }) }

// edge is one rank's end of a link.
type edge struct {
	node *Node
	link *link
	out  chan packet
	in   chan packet
	data bool // towards the next rank: faults happen here
}

// Send implements collective.Edge.
func (e *edge) Send(f collective.Frame) error {
	p := packet{payload: e.node.copies.of(f.Payload)}
	f.Payload.Release()
	f.Header.Put(p.header[:])
	if e.data && !e.node.apply(&f, &p) {
		p.payload.Release()
		return nil
	}
	if !e.put(p) {
		p.payload.Release()
		return io.EOF
	}
	return nil
}

// copies are payloads that belong to the transport.
type copies struct{ free collective.FreeList[private] }

type private struct {
	collective.Buffer
	bytes []byte
	whole [1][]byte
	back  func()
}

// of is a copy of a payload: the sender's memory is the sender's.
func (p *copies) of(b *collective.Buffer) *collective.Buffer {
	if b == nil {
		return nil
	}
	c := p.free.Take(p.fresh)
	c.bytes = b.AppendTo(c.bytes[:0])
	c.whole[0] = c.bytes
	c.Parts = c.whole[:]
	c.Own(c.back)
	return &c.Buffer
}

func (p *copies) fresh() *private {
	c := new(private)
	c.back = func() { p.free.Put(c) }
	return c
}

// put queues a packet, unless the link is cut.
func (e *edge) put(p packet) bool {
	select {
	case <-e.link.cut:
		return false
	case <-e.node.stalled:
		<-e.node.closed
		return false
	default:
	}
	select {
	case e.out <- p:
		return true
	case <-e.link.cut:
	case <-e.node.stalled:
		<-e.node.closed
	}
	return false
}

// Recv implements collective.Edge.
func (e *edge) Recv() (collective.Frame, error) {
	p, ok := e.get()
	if !ok {
		return collective.Frame{}, fmt.Errorf("link at rank %d is down", e.node.rank)
	}
	h, err := collective.ParseMessage(p.header[:], p.payload.Len())
	if err != nil {
		p.payload.Release()
		return collective.Frame{}, err
	}
	return collective.Frame{Header: h, Payload: p.payload}, nil
}

// get waits for a packet. Those sent before the link was cut come first.
func (e *edge) get() (p packet, ok bool) {
	select {
	case <-e.node.stalled:
		<-e.node.closed
		return p, false
	default:
	}
	select {
	case p = <-e.in:
		return p, true
	case <-e.node.stalled:
		<-e.node.closed
	case <-e.link.cut:
		select {
		case p = <-e.in:
			return p, true
		default:
		}
	}
	return p, false
}

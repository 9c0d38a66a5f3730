package coord

import (
	pb "parallax/proto/parallax/v1"
)

// fakeLink is a node's stream to the core, and what it has reported: it tells a core
// that has come back what is not on record.
type fakeLink struct {
	conn   Conn // 0: there is none
	open   bool // it was welcomed
	outbox []*pb.NodeMessage
	sent   int // how many of outbox have gone into the stream
}

// attach connects a node that has no stream.
func (w *world) attach(n *fake) {
	if w.core == nil || n.gone || n.silent || n.link.conn != 0 {
		return
	}
	n.link.conn = Conn(len(w.conns) + 1)
	w.conns[n.link.conn] = n
	hello := &pb.Hello{NodeId: n.name, Incarnation: n.id, RingAddress: "h:1"}
	if n.generation > 0 {
		hello.Reattach = &pb.Reattach{RunId: "r", Generation: n.generation, Ready: n.ready}
	}
	w.feed(Attached{n.link.conn, hello})
}

// welcomed has a node tell what a coordinator does not know, or begin anew: with what it
// holds, or what all start from, or the newest checkpoint.
func (w *world) welcomed(n *fake, m *pb.Welcome) {
	if !m.Member {
		n.view, n.order, n.near, n.leave, n.owes, n.told = nil, nil, false, false, 0, 0
		if n.generation == 0 || n.state == "" {
			n.hold(0)
		}
		if m.Cluster.Resume && n.step < w.saved {
			n.hold(w.saved)
		}
		n.link.outbox = nil
		n.readied()
	}
	n.link.sent, n.link.open = n.link.through(m.ReceivedStep), true
	w.send(n)
}

// readied has a node say that it is ready, with the state that it holds.
func (n *fake) readied() {
	n.ready = &pb.Ready{Step: n.step, Digest: []byte(n.state), DataDigest: "d"}
	n.link.outbox = append(n.link.outbox, &pb.NodeMessage{Kind: &pb.NodeMessage_Ready{Ready: n.ready}})
}

func (w *world) say(n *fake, m *pb.NodeMessage) {
	if n.gone || n.silent {
		return
	}
	n.link.outbox = append(n.link.outbox, m)
	w.send(n)
}

// send sends what has not been.
func (w *world) send(n *fake) {
	for l := &n.link; l.open && l.sent < len(l.outbox); {
		l.sent++
		w.feed(Received{l.conn, l.outbox[l.sent-1]})
	}
}

// hangUp ends a node's stream, which the core hears of.
func (w *world) hangUp(n *fake) {
	conn := n.link.conn
	n.link.conn, n.link.open = 0, false
	w.feed(Lost{conn, "EOF"})
}

// through counts the reports up to and including that of a step.
func (l *fakeLink) through(step int64) int {
	for i := len(l.outbox) - 1; i >= 0; i-- {
		if s := l.outbox[i].GetStep(); s != nil && s.Step <= step {
			return i + 1
		}
	}
	return 0
}

func (l *fakeLink) recorded(step int64) {
	n := l.through(step)
	l.outbox, l.sent = l.outbox[n:], max(l.sent-n, 0)
}

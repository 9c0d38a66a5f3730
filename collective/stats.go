package collective

import "sync/atomic"

// Stats counts what this rank has sent, or has queued to be sent, and received
// since New.
type Stats struct {
	PayloadSent, PayloadReceived int64 // bytes of tensors
	WireSent, WireReceived       int64 // bytes of all frames, headers included
	FramesSent, FramesReceived   int64 // that carry tensors
	StaleDropped                 int64 // frames of an older generation
}

type counters struct {
	payloadSent, payloadReceived atomic.Int64
	wireSent, wireReceived       atomic.Int64
	framesSent, framesReceived   atomic.Int64
	stale                        atomic.Int64
}

// Stats returns the counts so far.
func (c *Comm) Stats() Stats {
	n := &c.counts
	return Stats{
		PayloadSent: n.payloadSent.Load(), PayloadReceived: n.payloadReceived.Load(),
		WireSent: n.wireSent.Load(), WireReceived: n.wireReceived.Load(),
		FramesSent: n.framesSent.Load(), FramesReceived: n.framesReceived.Load(),
		StaleDropped: n.stale.Load(),
	}
}

func (n *counters) countSent(f *Frame) {
	n.wireSent.Add(HeaderSize + int64(f.Length))
	if f.Kind == Data {
		n.payloadSent.Add(int64(f.Length))
		n.framesSent.Add(1)
	}
}

func (n *counters) countReceived(f *Frame) {
	n.wireReceived.Add(HeaderSize + int64(f.Length))
	if f.Kind == Data {
		n.payloadReceived.Add(int64(f.Length))
		n.framesReceived.Add(1)
	}
}

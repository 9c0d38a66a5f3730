package collective

import (
	"sync/atomic"
	"time"
)

// Stats counts what this rank has sent, or has queued to be sent, and received
// since New.
type Stats struct {
	PayloadSent, PayloadReceived int64 // bytes of tensors
	WireSent, WireReceived       int64 // bytes of all frames, headers included
	FramesSent, FramesReceived   int64 // that carry tensors
	StaleDropped                 int64 // frames of an older generation

	// Sending is how long the link to the next rank took for the tensors sent: for
	// more bytes than buffers hold, a slow link or a slow reader shows here.
	// Receiving is how long frames were waited for that follow another one of the
	// same collective.
	Sending, Receiving time.Duration
}

type counters struct {
	payloadSent, payloadReceived atomic.Int64
	wireSent, wireReceived       atomic.Int64
	framesSent, framesReceived   atomic.Int64
	stale                        atomic.Int64
	sending, receiving           atomic.Int64 // nanoseconds
}

// Stats returns the counts so far.
func (c *Comm) Stats() Stats {
	n := &c.counts
	return Stats{
		PayloadSent: n.payloadSent.Load(), PayloadReceived: n.payloadReceived.Load(),
		WireSent: n.wireSent.Load(), WireReceived: n.wireReceived.Load(),
		FramesSent: n.framesSent.Load(), FramesReceived: n.framesReceived.Load(),
		StaleDropped: n.stale.Load(),
		Sending:      time.Duration(n.sending.Load()), Receiving: time.Duration(n.receiving.Load()),
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

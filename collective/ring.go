package collective

import (
	"context"
	"fmt"
)

// window is how many chunks of each segment are under way at once.
const window = 4

// lap is one collective as the ring sees it: every rank starts one segment on
// its way, and passes each segment that comes on to the next rank, until all
// hops are done.
type lap struct {
	ctx    context.Context
	at     Point
	op     Op
	bounds []int // segment s is units bounds[s] to bounds[s+1]
	width  int   // bytes of a unit on the wire
	chunk  int   // units in a full chunk
	hops   int
	first  int // rank r starts segment r+first
	phase  func(hop int) Phase
	// load returns units lo to hi as this rank sends them first.
	load func(lo, hi int) *Buffer
	// turn takes units lo to hi as they come after a hop, and returns what goes
	// on to the next rank: nil, b itself, or a new buffer in place of b.
	turn func(hop, lo, hi int, b *Buffer) *Buffer
	// place is where turn would put units lo to hi after a hop, or nil.
	place func(hop, lo, hi int) []byte

	owed int // frames still to be sent to the next rank
}

// circulate runs a lap. In waves of window chunks of every segment, it goes
// through the hops and sends as hop h+1 what came as hop h:
//
//	send window chunks of the rank's first segment
//	for each wave, hop, and chunk k of the wave:
//	    receive chunk k of the segment that is due in this hop
//	    after the last hop: send chunk k+window of the first segment
//	    else: send chunk k on
//
// So a rank sends exactly one chunk for each one that it receives, and is
// window chunks ahead. It cannot deadlock: a rank that cannot send has more than
// window chunks before it on its outgoing edge, one that cannot receive has none
// on its incoming edge, and the edges of the ring hold n*window chunks together,
// so that neither can be true of all. Sends block only when more than window
// chunks wait, because edge.out alone holds that many.
func (c *Comm) circulate(l *lap) error {
	l.owed = c.sends(l)
	c.post(l)
	return c.settle(l, c.turnAll(l))
}

func (c *Comm) turnAll(l *lap) error {
	for k := range min(window, l.rounds()) {
		if err := c.inject(l, k); err != nil {
			return err
		}
	}
	return l.walk(func(hop, k int) error {
		c.enter(l.phase(hop))
		return c.pass(l, hop, k)
	})
}

// walk calls f for every hop of every chunk, in the order of circulate.
func (l *lap) walk(f func(hop, k int) error) error {
	rounds := l.rounds()
	for base := 0; base < rounds; base += window {
		for hop := range l.hops {
			for k := base; k < min(base+window, rounds); k++ {
				if err := f(hop, k); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// post tells the reader where the frames to come belong.
func (c *Comm) post(l *lap) {
	c.posts.set(c.consumed, func(due []post) []post {
		l.walk(func(hop, k int) error {
			segment := c.arriving(l, hop)
			if lo, hi := l.span(segment, k); lo < hi {
				due = append(due, post{c.header(l, hop, segment, k, hi-lo), l.place(hop, lo, hi)})
			}
			return nil
		})
		return due
	})
}

// arriving is the segment that comes in a hop.
func (c *Comm) arriving(l *lap, hop int) int { return mod(c.cfg.Rank+l.first-1-hop, c.Size()) }

// sends is the number of frames that this rank sends in a lap.
func (c *Comm) sends(l *lap) int {
	frames := 0
	for hop := range l.hops {
		s := mod(c.cfg.Rank+l.first-hop, c.Size())
		frames += (l.bounds[s+1] - l.bounds[s] + l.chunk - 1) / l.chunk
	}
	return frames
}

// rounds is the number of chunks in the longest segment.
func (l *lap) rounds() int {
	longest := 0
	for s := range len(l.bounds) - 1 {
		longest = max(longest, l.bounds[s+1]-l.bounds[s])
	}
	return (longest + l.chunk - 1) / l.chunk
}

// span returns the units of chunk k of a segment; none when it is shorter.
func (l *lap) span(segment, k int) (lo, hi int) {
	end := l.bounds[segment+1]
	lo = min(l.bounds[segment]+k*l.chunk, end)
	return lo, min(lo+l.chunk, end)
}

// inject sends chunk k of the segment that this rank starts.
func (c *Comm) inject(l *lap, k int) error {
	segment := mod(c.cfg.Rank+l.first, c.Size())
	lo, hi := l.span(segment, k)
	if lo == hi {
		return nil
	}
	return c.send(l, Frame{Header: c.header(l, 0, segment, k, hi-lo), Payload: l.load(lo, hi)})
}

// pass receives chunk k in a hop and sends what is due after it.
func (c *Comm) pass(l *lap, hop, k int) error {
	last := hop == l.hops-1
	segment := c.arriving(l, hop)
	if lo, hi := l.span(segment, k); lo < hi {
		b, err := c.recv(l, c.header(l, hop, segment, k, hi-lo))
		if err != nil {
			return err
		}
		b = l.turn(hop, lo, hi, b)
		if !last {
			err = c.send(l, Frame{Header: c.header(l, hop+1, segment, k, hi-lo), Payload: b})
		} else {
			b.Release()
		}
		if err != nil {
			return err
		}
	}
	if last && k+window < l.rounds() {
		return c.inject(l, k+window)
	}
	return nil
}

func (c *Comm) header(l *lap, hop, segment, k, units int) Header {
	return Header{
		Kind: Data, Phase: l.phase(hop), Op: l.op, Tag: tagOf(l.at.Phase), Generation: c.cfg.Generation,
		Step: uint32(l.at.Step), Bucket: uint16(l.at.Bucket + 1),
		Segment: uint16(segment), Chunk: uint32(k), Length: uint32(units * l.width),
	}
}

// send queues a frame for the next rank.
func (c *Comm) send(l *lap, f Frame) error {
	c.posts.sent.Add(1)
	select {
	case <-c.next.ended:
		f.Payload.Release()
		return c.gone(c.next)
	default:
	}
	select {
	case c.next.out <- f:
		l.owed--
		c.counts.countSent(&f)
		return nil
	case <-c.failed:
	case <-l.ctx.Done():
		c.fail(-1, context.Cause(l.ctx))
	}
	f.Payload.Release()
	return c.Err()
}

// recv waits for the previous rank's next frame, which must be the one wanted.
// A next rank that has gone matters only where it is owed something: it may
// well be done before this one.
func (c *Comm) recv(l *lap, want Header) (*Buffer, error) {
	var ended chan struct{}
	if l.owed > 0 {
		ended = c.next.ended
	}
	select {
	case f := <-c.prev.in:
		return c.expect(f, want)
	case <-c.failed:
		return nil, c.Err()
	case <-l.ctx.Done():
		return nil, c.fail(-1, context.Cause(l.ctx))
	case <-ended:
		return nil, c.gone(c.next)
	}
}

func (c *Comm) expect(f Frame, want Header) (*Buffer, error) {
	if f.Header == want {
		c.consumed++
		return f.Payload, nil
	}
	f.Payload.Release()
	if f.Kind == Bye {
		return nil, c.gone(c.prev)
	}
	return nil, c.fail(c.prev.peer, fmt.Errorf("unexpected frame: expected %v, got %v", want, f.Header))
}

// gone is the failure to find a neighbour where data is due to it or from it.
// If the ring has broken, it is that instead.
func (c *Comm) gone(e *edge) error { return c.fail(e.peer, errLeft) }

package collective

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// inbox is how many received frames may wait for the collective to take them.
const inbox = 2

// edge is a Comm's end of one link: a reader and a pump, which do nothing but
// pass frames on, answer for this rank's being alive, and notice the neighbour's
// not being so.
type edge struct {
	comm *Comm
	link Edge
	peer int // rank

	in  chan Frame    // reader to collective: data, and the neighbour's Bye
	out chan Frame    // collective to pump: data
	ack chan struct{} // reader to pump: answer a Bye

	heard    atomic.Uint64 // frames
	holding  atomic.Bool   // the reader waits for the collective
	received uint32        // data frames; the reader's own
	last     Header        // of a data frame received; the reader's own
	sent     uint32        // data frames; the pump's own
	silent   bool          // the neighbour is not waited for; the supervisor's own

	told  chan struct{} // closed: the pump has sent its last frame
	ended chan struct{} // closed: the neighbour has sent its last frame
	left  atomic.Bool   // the neighbour has said Bye
}

func newEdge(c *Comm, link Edge, peer int) *edge {
	return &edge{
		comm: c, link: link, peer: peer,
		in: make(chan Frame, inbox), out: make(chan Frame, window+1), ack: make(chan struct{}, 1),
		told: make(chan struct{}), ended: make(chan struct{}),
	}
}

// sign reports what watch needs to know.
func (e *edge) sign() sign {
	return sign{heard: e.heard.Load(), excused: e.holding.Load() || e.left.Load()}
}

// read takes frames off the link until the neighbour has sent its last.
func (e *edge) read() {
	defer close(e.ended)
	for {
		waiting := time.Now()
		f, err := e.receive()
		if err != nil {
			e.broke(err)
			return
		}
		e.waited(time.Since(waiting), f.Header)
		e.heard.Add(1)
		e.comm.counts.countReceived(&f)
		if !e.take(f) {
			return
		}
	}
}

// waited counts what a frame took to come, if others of its collective came before.
func (e *edge) waited(took time.Duration, h Header) {
	if h.Kind != Data {
		return
	}
	last := e.last
	e.last = h
	if h.Step == last.Step && h.Bucket == last.Bucket && h.Tag == last.Tag {
		e.comm.counts.receiving.Add(int64(took))
	}
}

// receive returns the next frame: with its payload in place, where a collective
// waits for it and the link can put it there.
func (e *edge) receive() (Frame, error) {
	placer, can := e.link.(Placer)
	if !can || e != e.comm.prev {
		return e.link.Recv()
	}
	defer e.comm.posts.left()
	return placer.RecvInto(func(h Header) []byte { return e.comm.posts.take(e.received, h) })
}

// take deals with one frame and reports whether another may follow: the last is
// an Abort, a Bye or a ByeAck. A frame that breaks the Comm is not the last: the
// neighbour has yet to hear of that, and must not be kept from saying so.
func (e *edge) take(f Frame) bool {
	if own := e.comm.cfg.Generation; f.Generation != own {
		f.Payload.Release()
		if f.Generation < own {
			e.comm.counts.stale.Add(1)
		} else {
			e.comm.fail(e.peer, fmt.Errorf("it has gone on to generation %d, this rank is in %d", f.Generation, own))
		}
		return true
	}
	switch f.Kind {
	case Data:
		e.received++
		e.deliver(f)
		return true
	case Heartbeat:
		e.tally(f)
		return true
	case Abort:
		e.aborted(f)
	case Bye:
		e.tally(f)
		e.left.Store(true)
		e.deliver(f)
		e.ack <- struct{}{}
	}
	return false
}

// deliver hands a frame to the collective, when that comes for it.
func (e *edge) deliver(f Frame) {
	if f.Kind == Data && e == e.comm.next {
		e.comm.fail(e.peer, errors.New("it sent data against the ring's direction"))
	}
	select {
	case e.in <- f:
		return
	default:
	}
	e.holding.Store(true)
	defer e.holding.Store(false)
	select {
	case e.in <- f:
		return
	case <-e.comm.failed:
	case <-e.comm.leaving:
	}
	f.Payload.Release()
}

// tally checks that no data frame was lost on the way.
func (e *edge) tally(f Frame) {
	if f.Chunk != e.received {
		e.comm.fail(e.peer, fmt.Errorf("it sent %d data frames in this generation and %d came", f.Chunk, e.received))
	}
}

func (e *edge) aborted(f Frame) {
	err, bad := errorFrom(f, e.comm.cfg.Members)
	f.Payload.Release()
	if bad != nil {
		e.comm.fail(e.peer, bad)
		return
	}
	e.comm.adopt(err)
}

// broke handles an error of the link. After a goodbye, this rank's or the
// neighbour's, links are expected to end.
func (e *edge) broke(err error) {
	select {
	case <-e.comm.leaving:
	default:
		if !e.left.Load() {
			e.comm.fail(e.peer, fmt.Errorf("stream broken: %w", err))
		}
	}
}

// pump sends what the collective has ready, a heartbeat where it has had nothing
// for a quarter of the timeout, and one last frame: Abort or Bye.
func (e *edge) pump() {
	defer close(e.told)
	beat := time.NewTicker(e.comm.cfg.Timeout / 4)
	defer beat.Stop()
	var err error
	for quiet := true; err == nil; {
		select {
		case f := <-e.out:
			err, quiet = e.send(f), false
		case <-beat.C:
			if quiet {
				err = e.send(e.control(Heartbeat))
			}
			quiet = true
		case <-e.ack:
			err = e.send(e.control(ByeAck))
		case <-e.comm.failed:
			e.abort()
			return
		case <-e.comm.leaving:
			e.leave()
			return
		}
	}
	if err == io.EOF {
		<-e.ended
		return
	}
	e.broke(err)
}

func (e *edge) abort() {
	e.send(e.comm.broken().frame(e.comm.cfg.Generation))
}

// leave sends what is still queued, and Bye. A Comm that has failed as well
// says that instead.
func (e *edge) leave() {
	for e.comm.broken() == nil {
		select {
		case f := <-e.out:
			if e.send(f) != nil {
				return
			}
		default:
			e.send(e.control(Bye))
			return
		}
	}
	e.abort()
}

func (e *edge) send(f Frame) error {
	if f.Kind != Data {
		e.comm.counts.countSent(&f)
		return e.link.Send(f)
	}
	e.sent++
	start := time.Now()
	err := e.link.Send(f)
	e.comm.counts.sending.Add(int64(time.Since(start)))
	return err
}

func (e *edge) control(k Kind) Frame {
	return Frame{Header: Header{Kind: k, Generation: e.comm.cfg.Generation, Chunk: e.sent}}
}

// errLeft is the cause when data is due to or from a neighbour that has closed.
var errLeft = errors.New("it has left the ring")

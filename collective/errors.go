package collective

import (
	"errors"
	"fmt"
	"strings"
)

// ErrClosed is the cause when a Comm is used after, or closed during, a collective.
var ErrClosed = errors.New("the communicator was closed")

// Error ends a Comm. Every rank of the ring gets one, and all name the first
// edge that broke, as far as news of it travelled first.
type Error struct {
	Rank       int // who noticed
	Name, Host string

	Peer        int // member index of whom it suspects, -1: nobody
	PeerName    string
	PeerHost    string
	PeerAddress string

	At     Point
	Phase  Phase // Idle: no collective had begun
	During bool  // false: after that collective, before the next
	Cause  error
}

func (e *Error) Error() string {
	who := fmt.Sprintf("rank %d (%s)", e.Rank, e.Name)
	if e.Peer < 0 {
		return fmt.Sprintf("%s gave up %s: %v", who, e.where(), e.Cause)
	}
	return fmt.Sprintf("%s lost rank %d (%s at %s) %s: %v",
		who, e.Peer, e.PeerName, e.PeerAddress, e.where(), e.Cause)
}

func (e *Error) Unwrap() error { return e.Cause }

func (e *Error) where() string {
	switch {
	case e.Phase == Idle:
		return "before the first collective"
	case e.During:
		return fmt.Sprintf("in %v of %v", e.Phase, e.At)
	}
	return fmt.Sprintf("after %v of %v", e.Phase, e.At)
}

// Point says where in the run a collective stands. All ranks must agree on it.
type Point struct {
	Step   int64  // 0 to 2^32-1
	Phase  string // of the step, e.g. "gradients"
	Bucket int    // -1: none; up to 65534
}

func (p Point) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "step %d", p.Step)
	if p.Bucket >= 0 {
		fmt.Fprintf(&s, ", bucket %d", p.Bucket)
	}
	if p.Phase != "" {
		fmt.Fprintf(&s, " (%s)", p.Phase)
	}
	return s.String()
}

func (p Point) check() error {
	if p.Step < 0 || p.Step >= 1<<32 {
		return fmt.Errorf("collective: step %d is outside 0 to 2^32-1", p.Step)
	}
	if p.Bucket < -1 || p.Bucket >= 1<<16-1 {
		return fmt.Errorf("collective: bucket %d is outside -1 to 65534", p.Bucket)
	}
	return nil
}

// An abort frame tells an Error to the other ranks: header fields Segment (who
// noticed), Chunk (the suspect + 1), Phase, Op (1: during), Step and Bucket; its payload
// is the length of Point.Phase in one byte, Point.Phase, and the cause's text.

func (e *Error) frame(generation uint64) Frame {
	phase := e.At.Phase[:min(len(e.At.Phase), 255)]
	text := append([]byte{byte(len(phase))}, phase...)
	text = append(text, e.Cause.Error()...)
	text = text[:min(len(text), maxAbortBytes)]
	f := Frame{Payload: &Buffer{Parts: [][]byte{text}}}
	f.Payload.Own(nil)
	f.Header = Header{
		Kind: Abort, Phase: e.Phase, Tag: tagOf(e.At.Phase), Generation: generation,
		Step: uint32(e.At.Step), Bucket: uint16(e.At.Bucket + 1),
		Segment: uint16(e.Rank), Chunk: uint32(e.Peer + 1), Length: uint32(len(text)),
	}
	if e.During {
		f.Op = 1
	}
	return f
}

// errorFrom reads an abort frame against the view's members.
func errorFrom(f Frame, members []Member) (*Error, error) {
	text := f.Payload.AppendTo(make([]byte, 0, f.Length))
	rank, peer := int(f.Segment), int(int64(f.Chunk)-1)
	if rank >= len(members) || peer >= len(members) || len(text) == 0 || 1+int(text[0]) > len(text) {
		return nil, fmt.Errorf("an abort frame makes no sense: %s", binaryPrefix(text))
	}
	split := 1 + int(text[0])
	e := newError(members, rank, peer, errors.New(string(text[split:])))
	e.At = Point{Step: int64(f.Step), Phase: string(text[1:split]), Bucket: int(f.Bucket) - 1}
	e.Phase, e.During = f.Phase, f.Op == 1
	return e, nil
}

func binaryPrefix(b []byte) string { return fmt.Sprintf("%q", b[:min(len(b), 32)]) }

// Lost is the error of this rank when a transport cannot be made because of a
// neighbour.
func (cfg *Config) Lost(peer int, cause error) *Error {
	return newError(cfg.Members, cfg.Rank, peer, cause)
}

func newError(members []Member, rank, peer int, cause error) *Error {
	e := &Error{Rank: rank, Name: members[rank].Name, Host: members[rank].Host, Peer: -1, Cause: cause}
	if peer >= 0 {
		p := members[peer]
		e.Peer, e.PeerName, e.PeerHost, e.PeerAddress = peer, p.Name, p.Host, p.Address
	}
	return e
}

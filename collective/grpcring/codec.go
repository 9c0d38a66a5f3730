package grpcring

import (
	"fmt"
	"slices"
	"sync"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"

	"parallax/collective"
)

// subtype names the codec in a stream's content type.
const subtype = "parallax-frame"

// codec writes a frame as its header and its payload, and nothing else. gRPC
// finds it by subtype on the server.
type codec struct{}

func init() { encoding.RegisterCodecV2(codec{}) }

func (codec) Name() string { return subtype }

// Marshal takes over the reference to the frame's payload.
func (codec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(*message)
	if !ok {
		return nil, fmt.Errorf("the ring carries frames, not %T", v)
	}
	m.owned = false
	head := make([]byte, collective.HeaderSize)
	m.Header.Put(head)
	if m.Payload == nil {
		return mem.BufferSlice{mem.SliceBuffer(head)}, nil
	}
	out := make(mem.BufferSlice, 1, 1+len(m.Payload.Parts))
	out[0] = mem.SliceBuffer(head)
	for _, part := range m.Payload.Parts {
		out = append(out, lend(m.Payload, part))
	}
	m.Payload.Release()
	return out, nil
}

// Unmarshal parses a header, checks it against the message's length, and keeps
// the payload's buffers where they are. A bad frame is reported in the message:
// an error here would make gRPC end the stream before the neighbour can be told.
func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*message)
	if !ok {
		return fmt.Errorf("the ring carries frames, not %T", v)
	}
	var head [collective.HeaderSize]byte
	n := data.CopyTo(head[:])
	m.Payload = nil
	m.Header, m.bad = collective.ParseMessage(head[:n], data.Len()-n)
	if m.bad == nil && m.Length > 0 {
		m.Payload = keep(data)
	}
	return nil
}

// message is a frame on its way into or out of gRPC.
type message struct {
	collective.Frame
	owned bool  // outgoing: the payload's reference is still ours to release
	bad   error // incoming: it is no frame
}

// outgoing is one part of a payload, lent to gRPC. It is the pool to which gRPC
// returns the bytes when they have left, and releases the payload then.
type outgoing struct {
	bytes   []byte
	payload *collective.Buffer
}

var outgoings = sync.Pool{New: func() any { return new(outgoing) }}

// lend wraps a part of a payload for gRPC. gRPC does not count references to
// small slices, so those are copied.
func lend(payload *collective.Buffer, part []byte) mem.Buffer {
	if mem.IsBelowBufferPoolingThreshold(cap(part)) {
		return mem.SliceBuffer(slices.Clone(part))
	}
	payload.Retain()
	o := outgoings.Get().(*outgoing)
	o.bytes, o.payload = part, payload
	return mem.NewBuffer(&o.bytes, o)
}

// Get implements mem.BufferPool, which gRPC asks nothing of but Put.
func (o *outgoing) Get(n int) *[]byte { b := make([]byte, n); return &b }

// Put implements mem.BufferPool.
func (o *outgoing) Put(*[]byte) {
	payload := o.payload
	o.bytes, o.payload = nil, nil
	outgoings.Put(o)
	payload.Release()
}

// incoming is a payload that still lies in gRPC's own buffers.
type incoming struct {
	collective.Buffer
	held   mem.BufferSlice
	giveUp func()
}

var incomings sync.Pool

func newIncoming() *incoming {
	if in, ok := incomings.Get().(*incoming); ok {
		return in
	}
	in := new(incoming)
	in.giveUp = in.free
	return in
}

// keep takes references to a message's buffers and returns what follows its header.
func keep(data mem.BufferSlice) *collective.Buffer {
	in := newIncoming()
	skip := collective.HeaderSize
	for _, b := range data {
		b.Ref()
		in.held = append(in.held, b)
		part := b.ReadOnlyData()
		drop := min(skip, len(part))
		skip -= drop
		if part = part[drop:]; len(part) > 0 {
			in.Parts = append(in.Parts, part)
		}
	}
	in.Own(in.giveUp)
	return &in.Buffer
}

func (in *incoming) free() {
	in.held.Free()
	clear(in.held)
	clear(in.Parts)
	in.held, in.Parts = in.held[:0], in.Parts[:0]
	incomings.Put(in)
}

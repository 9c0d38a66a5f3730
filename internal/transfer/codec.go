package transfer

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// subtype names the codec in a stream's content type.
const subtype = "parallax-state"

// codec writes a request as protobuf, and a piece as its header and payload and
// nothing else. gRPC finds it by subtype on the server.
type codec struct{}

func init() { encoding.RegisterCodecV2(codec{}) }

func (codec) Name() string { return subtype }

// outgoing is a piece to send. Its parts are not changed any more once they are
// served, so gRPC may keep them for as long as it likes.
type outgoing struct {
	head  []byte
	parts [][]byte
}

func pack(h Header, parts ...[]byte) *outgoing {
	head := make([]byte, HeaderSize)
	h.put(head, parts)
	return &outgoing{head, parts}
}

// incoming is a piece received.
type incoming struct {
	Header
	payload []byte // the first Length bytes of memory for PieceBytes
	bad     error  // it is none, or damaged
}

func (codec) Marshal(v any) (mem.BufferSlice, error) {
	switch m := v.(type) {
	case *outgoing:
		out := make(mem.BufferSlice, 1, 1+len(m.parts))
		out[0] = mem.SliceBuffer(m.head)
		for _, part := range m.parts {
			out = append(out, mem.SliceBuffer(part))
		}
		return out, nil
	case proto.Message:
		b, err := proto.Marshal(m)
		return mem.BufferSlice{mem.SliceBuffer(b)}, err
	}
	return nil, fmt.Errorf("a state travels in pieces, not as %T", v)
}

// Unmarshal copies a piece to the memory that it is given. A bad one is reported in
// it: an error here would look like one of the connection.
func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	switch m := v.(type) {
	case *incoming:
		m.bad = m.read(data)
		return nil
	case proto.Message:
		return proto.Unmarshal(data.Materialize(), m)
	}
	return fmt.Errorf("a state travels in pieces, not as %T", v)
}

func (m *incoming) read(data mem.BufferSlice) (err error) {
	var head [HeaderSize]byte
	n := data.CopyTo(head[:])
	if m.Header, err = parseHeader(head[:n], data.Len()-n); err != nil {
		return err
	}
	m.payload = m.payload[:m.Length]
	skip, at := HeaderSize, 0
	for _, b := range data {
		part := b.ReadOnlyData()
		drop := min(skip, len(part))
		skip -= drop
		at += copy(m.payload[at:], part[drop:])
	}
	return m.verify(head[:], m.payload)
}

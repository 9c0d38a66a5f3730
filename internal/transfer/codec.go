package transfer

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// subtype names the codec in a stream's content type.
const subtype = "parallax-state"

// codec writes a request as protobuf, and a piece as its header, payload and sum, and
// nothing else. gRPC finds it by subtype on the server.
type codec struct{}

func init() { encoding.RegisterCodecV2(codec{}) }

func (codec) Name() string { return subtype }

func (codec) Marshal(v any) (mem.BufferSlice, error) {
	switch m := v.(type) {
	case *outgoing:
		out := mem.BufferSlice{mem.SliceBuffer(m.head)}
		for _, part := range m.parts {
			out = append(out, mem.SliceBuffer(part))
		}
		return append(out, mem.SliceBuffer(m.sum)), nil
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

func (m *incoming) read(data mem.BufferSlice) error {
	r := data.Reader()
	defer r.Close()
	if r.Remaining() < HeaderSize+sumSize {
		return fmt.Errorf("a piece has %d bytes, header and sum alone have %d", r.Remaining(), HeaderSize+sumSize)
	}
	if m.scan(r) != nil {
		return fmt.Errorf("a piece ends before the %d bytes that its header speaks of", m.Length)
	}
	if m.bad == nil && r.Remaining() > 0 {
		return fmt.Errorf("a piece has %d bytes more than its header speaks of", r.Remaining())
	}
	return m.verify()
}

package tcpring

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"parallax/collective"
	"parallax/internal/direct"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stream is a connection on which some bytes have come, and no more will.
type stream struct {
	net.Conn
	*bytes.Reader
}

func (s stream) Read(p []byte) (int, error) { return s.Reader.Read(p) }

func received(data []byte) *Edge { return NewEdge(direct.Plain(stream{Reader: bytes.NewReader(data)})) }

// data is a frame of kind Data with its payload.
func data(payload string) (collective.Frame, []byte) {
	f := collective.Frame{Header: collective.Header{Kind: collective.Data, Generation: 7, Length: uint32(len(payload))}}
	f.Payload = &collective.Buffer{Parts: [][]byte{[]byte(payload[:1]), []byte(payload[1:])}}
	f.Payload.Own(nil)
	wire := make([]byte, collective.HeaderSize)
	f.Put(wire)
	return f, append(wire, payload...)
}

func TestSend(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	e := NewEdge(direct.Plain(here))
	f, wire := data("tensor")
	released := make(chan struct{})
	f.Payload.Own(func() { close(released) })
	sent := make(chan error, 1)
	go func() { sent <- e.Send(f) }()
	got := make([]byte, len(wire))
	if _, err := io.ReadFull(there, got); err != nil || !bytes.Equal(got, wire) {
		t.Errorf("sent %x, %v; want %x", got, err, wire)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	<-released
	e.Close()
	if err := e.Send(collective.Frame{Header: collective.Header{Kind: collective.Heartbeat}}); err != io.EOF {
		t.Errorf("a closed edge sends: %v", err)
	}
}

func TestRecv(t *testing.T) {
	f, wire := data("tensor")
	e := received(append(wire, wire...))
	first, err := e.Recv()
	if err != nil || first.Header != f.Header || string(first.Payload.AppendTo(nil)) != "tensor" || !first.Payload.Writable {
		t.Errorf("%+v, %v", first, err)
	}
	dst := make([]byte, 6)
	second, err := e.RecvInto(func(h collective.Header) []byte {
		if h != f.Header {
			t.Errorf("asked where %v belongs", h)
		}
		return dst
	})
	if err != nil || string(dst) != "tensor" || &second.Payload.Parts[0][0] != &dst[0] || second.Payload.Writable {
		t.Errorf("%+v, %v, %q", second, err, dst)
	}
	if _, err := e.Recv(); err == nil || !strings.Contains(err.Error(), "has closed the connection") {
		t.Errorf("at the end: %v", err)
	}
}

func TestCutShort(t *testing.T) {
	_, wire := data("tensor")
	for _, n := range []int{1, collective.HeaderSize, len(wire) - 1} {
		if _, err := received(wire[:n]).Recv(); err == nil || !strings.Contains(err.Error(), "has closed the connection") {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

// FuzzRecv: whatever comes, no payload is longer than the frame's kind allows.
func FuzzRecv(f *testing.F) {
	_, wire := data("tensor")
	f.Add(wire)
	f.Add(append(wire, wire[:30]...))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n and some more"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		e := received(wire)
		for left := len(wire); ; {
			frame, err := e.Recv()
			if err != nil {
				return
			}
			left -= collective.HeaderSize + frame.Payload.Len()
			if left < 0 || frame.Payload.Len() != int(frame.Length) || frame.Length > collective.MaxChunkBytes {
				t.Fatalf("%v with %d bytes from %d", frame.Header, frame.Payload.Len(), len(wire))
			}
			frame.Payload.Release()
		}
	})
}

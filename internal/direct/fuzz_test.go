package direct

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc/credentials/insecure"
)

// stranger is a connection that says something and then no more.
type stranger struct {
	net.Conn
	said   *bytes.Reader
	answer []byte
	closed bool
}

func (s *stranger) Read(p []byte) (int, error) { return s.said.Read(p) }
func (s *stranger) Write(p []byte) (int, error) {
	s.answer = append(s.answer, p...)
	return len(p), nil
}
func (s *stranger) Close() error                    { s.closed = true; return nil }
func (s *stranger) SetDeadline(time.Time) error     { return nil }
func (s *stranger) SetReadDeadline(time.Time) error { return nil }
func (s *stranger) RemoteAddr() net.Addr            { return nil }

// FuzzGreeting has strangers begin in any way. Only who knows the magic and the secret
// is answered; who begins as nothing direct goes to the other listener with all that
// it has said; everybody else is cut off.
func FuzzGreeting(f *testing.F) {
	known := secret{1, 2, 3}
	f.Add([]byte(Magic + string(known[:])))
	f.Add([]byte(Magic + string(known[:]) + "and more"))
	f.Add([]byte(Magic + "not the secret, though it is as long"))
	f.Add([]byte(Magic))
	f.Add([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	f.Add([]byte("PLX"))
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, said []byte) {
		h := NewHost(insecure.NewCredentials())
		o := &offer{secret: known, authorize: func(context.Context) error { return nil }, taken: make(chan *Conn, 1)}
		h.put(o)
		s := &splitter{patience: time.Hour, direct: h.greeted, others: make(chan net.Conn, 1), closed: make(chan struct{})}
		conn := &stranger{said: bytes.NewReader(said)}
		s.sort(conn)

		magic := bytes.HasPrefix(said, []byte(Magic))
		right := bytes.HasPrefix(said, append([]byte(Magic), known[:]...))
		if taken := len(o.taken) == 1; taken != right || (len(conn.answer) > 0) != right {
			t.Errorf("taken: %t, and answered %q", taken, conn.answer)
		}
		if passed := len(s.others) == 1; passed != (!magic && len(said) > 0) || conn.closed == (passed || right) {
			t.Errorf("passed on: %t, closed: %t", passed, conn.closed)
		}
		if len(s.others) == 0 {
			return
		}
		if all, err := io.ReadAll(<-s.others); err != nil || !bytes.Equal(all, said) {
			t.Errorf("%q came as %q, %v", said, all, err)
		}
	})
}

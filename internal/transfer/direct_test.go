package transfer

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"parallax/internal/direct"
	"parallax/internal/trust"
	"parallax/internal/trust/trusttest"
)

// newDirectRig is a rig whose pieces come over direct connections, which spoil may
// tamper with.
func newDirectRig(t *testing.T, who trust.Trust, spoil func(net.Conn) net.Conn) *rig {
	r := newRigWith(t, who.ServerCredentials(slog.Default()))
	r.tamper = func(int, *outgoing) error { return errors.New("a piece goes over gRPC") }
	r.dialer = &direct.Dialer{
		Credentials: who.Node("source").Credentials(),
		Notice:      func(s string) { t.Error(s) },
		Dial: func(ctx context.Context, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
			if err != nil || spoil == nil {
				return conn, err
			}
			return spoil(conn), nil
		},
	}
	return r
}

// follow fetches the state after step 0 and follows for two steps.
func (r *rig) follow(t *testing.T) {
	t.Helper()
	r.serve(0, "a")
	j := r.join("a")
	if got := await(t, j, j.near); got.Bytes != toyBytes {
		t.Errorf("near with %+v", got)
	}
	r.step(1)
	r.step(2)
	r.source.Leave(1, 2)
	await(t, j, j.left)
	j.want(t, 2)
	j.close(t)
}

func TestDirect(t *testing.T) {
	for name, who := range map[string]trust.Trust{"plain": {}, "TLS": trusttest.Identity(t, "source")} {
		t.Run(name, func(t *testing.T) { newDirectRig(t, who, nil).follow(t) })
	}
}

// spoiled is a connection on which things go wrong once its greeting is over, in which
// nobody reads more than greetingBytes at a time.
type spoiled struct {
	net.Conn
	*spoiler
	greeted bool
}

const greetingBytes = 32 << 10

// spoiler is shared by all connections of a test.
type spoiler struct {
	mu   sync.Mutex
	do   func(read []byte) error
	came int64 // bytes of pieces, good or bad
}

func (s *spoiled) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.greeted = s.greeted || len(p) > greetingBytes
	if !s.greeted || err != nil {
		return n, err
	}
	s.came += int64(n)
	if err := s.do(p[:n]); err != nil {
		s.Conn.Close()
		return 0, err
	}
	return n, nil
}

// What is damaged on a direct connection, or breaks off, is asked for again from the
// last piece that was good.
func TestDirectDamage(t *testing.T) {
	secure := trusttest.Identity(t, "source")
	for name, odds := range map[string]struct {
		who       trust.Trust
		flip, cut int
	}{"flips": {flip: 20}, "cuts": {cut: 10}, "TLS flips": {who: secure, flip: 20}, "TLS cuts": {who: secure, cut: 10}} {
		t.Run(name, func(t *testing.T) {
			rng, faults := rand.New(rand.NewPCG(1, 2)), int64(0)
			s := &spoiler{do: func(read []byte) error {
				switch {
				case odds.flip > 0 && faults < 8 && rng.IntN(odds.flip) == 0:
					faults++
					read[len(read)/2] ^= 1
				case odds.cut > 0 && faults < 8 && rng.IntN(odds.cut) == 0:
					faults++
					return errors.New("cut")
				}
				return nil
			}}
			r := newDirectRig(t, odds.who, func(conn net.Conn) net.Conn { return &spoiled{Conn: conn, spoiler: s} })
			r.follow(t)
			if faults == 0 {
				t.Error("nothing went wrong")
			}
			least := int64(toyBytes + 2*changeBytes)
			if most := least + (faults+1)*2*PieceBytes; s.came > most {
				t.Errorf("%d bytes came where %d do, after %d faults", s.came, least, faults)
			}
		})
	}
}

// mute is a connection to a host that has died once its greeting was over.
type mute struct {
	net.Conn
	greeted bool
	closing sync.Once
	closed  chan struct{}
}

func (m *mute) Read(p []byte) (int, error) {
	if m.greeted {
		<-m.closed
		return 0, net.ErrClosed
	}
	m.greeted = true
	return m.Conn.Read(p)
}

func (m *mute) Close() error {
	m.closing.Do(func() { close(m.closed) })
	return m.Conn.Close()
}

// A connection on which nothing comes any more is given up, though nobody ends it.
func TestDirectSilence(t *testing.T) {
	r := newDirectRig(t, trust.Trust{}, func(conn net.Conn) net.Conn { return &mute{Conn: conn, closed: make(chan struct{})} })
	r.serve(0, "a")
	f := r.fetch("a", &joiner{toy: newToy()})
	f.Silence = 50 * time.Millisecond
	if err := f.Run(t.Context()); err == nil || err.Error() != "it has said nothing for 50ms" {
		t.Errorf("it ended with %v", err)
	}
}

// Where the connection is refused the pieces come over gRPC, and it is said once.
func TestDirectRefused(t *testing.T) {
	r := newRig(t)
	said := make(chan string, 8)
	r.dialer = &direct.Dialer{
		Notice: func(s string) { said <- s },
		Dial:   func(context.Context, string) (net.Conn, error) { return nil, errors.New("connection refused") },
	}
	r.follow(t)
	close(said)
	if s := <-said; !strings.HasSuffix(s, "came about: connection refused") {
		t.Errorf("it says %q", s)
	}
	if s, more := <-said; more {
		t.Errorf("it says more: %q", s)
	}
}

package direct

import (
	"context"
	"encoding/hex"
	"errors"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// greetingPatience is how long a connection may take from its first byte to its
// welcome.
const greetingPatience = 5 * time.Second

// Host accepts the direct connections of a process.
type Host struct {
	creds credentials.TransportCredentials

	mu     sync.Mutex
	offers map[*offer]bool // not yet taken up
}

// NewHost returns a Host that shows, and wants, what the process's grpc.Server does.
func NewHost(creds credentials.TransportCredentials) *Host {
	return &Host{creds: creds, offers: map[*offer]bool{}}
}

// Share returns the listener for the grpc.Server, on which its services are reached
// as ever. Direct connections come to the same port.
func (h *Host) Share(lis net.Listener) net.Listener {
	return split(lis, greetingPatience, h.greeted)
}

// ErrNotTaken is why a stream ended that had asked for a direct connection: whoever
// opened it made none.
var ErrNotTaken = errors.New("the direct connection did not come")

// Accept sends the header of a stream that was opened with [Ask], with an offer, and
// waits until it is taken up, the stream ends ([ErrNotTaken]) or ctx does (its cause).
// Authorize says why a connection, whose peer is in its context, is not whom the
// offer is meant for.
func (h *Host) Accept(ctx context.Context, stream grpc.ServerStream, authorize func(context.Context) error) (*Conn, error) {
	o := &offer{secret: newSecret(), authorize: authorize, taken: make(chan *Conn, 1)}
	h.put(o)
	defer h.revoke(o)
	if err := stream.SendHeader(metadata.Pairs(keyOffer, o.hex())); err != nil {
		return nil, err
	}
	select {
	case conn := <-o.taken:
		return conn, nil
	case <-stream.Context().Done():
		return nil, ErrNotTaken
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// offer is a direct connection that somebody may make.
type offer struct {
	secret    secret
	authorize func(context.Context) error
	taken     chan *Conn
}

// hex is how the secret is said in a header.
func (o *offer) hex() string { return hex.EncodeToString(o.secret[:]) }

func (h *Host) put(o *offer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.offers[o] = true
}

// revoke ends an offer. A connection that has taken it up unseen is dropped.
func (h *Host) revoke(o *offer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.offers, o)
	select {
	case conn := <-o.taken:
		conn.Close()
	default:
	}
}

// greeted hears out a connection that has begun as a direct one.
func (h *Host) greeted(conn net.Conn) {
	if err := h.hear(conn); err != nil {
		conn.Close()
	}
}

func (h *Host) hear(raw net.Conn) error {
	raw.SetDeadline(time.Now().Add(greetingPatience))
	g, err := greet(raw, h.creds, acceptor, dialler, h.creds.ServerHandshake)
	if err != nil {
		return err
	}
	said, err := hear(g)
	if err != nil {
		return err
	}
	return h.take(g, said)
}

// take hands a connection to who has offered it, once.
func (h *Host) take(g *greeting, said secret) error {
	ctx := peer.NewContext(context.Background(), &peer.Peer{Addr: g.RemoteAddr(), AuthInfo: g.info})
	h.mu.Lock()
	defer h.mu.Unlock()
	for o := range h.offers {
		if !o.secret.equal(said) {
			continue
		}
		if err := o.authorize(ctx); err != nil {
			return err
		}
		delete(h.offers, o)
		if err := accept(g); err != nil {
			return err
		}
		g.SetDeadline(time.Time{})
		o.taken <- g.begin()
		return nil
	}
	return errors.New("nobody has offered that")
}

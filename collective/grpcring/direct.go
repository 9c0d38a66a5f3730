package grpcring

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"parallax/collective/tcpring"
)

// A direct connection takes the frames of a link off gRPC, see package tcpring:
//
//	dialler                                  acceptor
//	opens the stream, with keyDirect    ->   checks the claim as ever
//	                                    <-   header, with keyOffer: a fresh secret
//	connects to the same address, says
//	tcpring.Magic, then TLS if there is
//	TLS, then the secret                ->   checks certificate and secret
//	                                    <-   welcome
//
// From there on frames go over the connection, and the stream lies idle. If the
// connection does not come about, the dialler ends the stream and opens one without
// keyDirect.

// keyOffer is the metadata in which the acceptor hands out the secret.
const keyOffer = "parallax-direct-secret"

// greetingPatience is how long a connection may take from its first byte to its
// welcome.
const greetingPatience = 5 * time.Second

// Direct is how direct connections are made. The zero value makes plain ones.
type Direct struct {
	Credentials credentials.TransportCredentials                // nil: no TLS
	Dial        func(context.Context, string) (net.Conn, error) // to host:port; nil: TCP
	Notice      func(string)                                    // told where a link has to do without; nil: nobody is
}

func (d *Direct) tell(sentence string) {
	if d.Notice != nil {
		d.Notice(sentence)
	}
}

// connect takes up an offer.
func (d *Direct) connect(ctx context.Context, address, offer string) (*tcpring.Edge, error) {
	var secret tcpring.Secret
	if n, err := hex.Decode(secret[:], []byte(offer[:min(len(offer), 2*len(secret))])); err != nil || n != len(secret) {
		return nil, errors.New("what it offered makes no sense")
	}
	ctx, cancel := context.WithTimeout(ctx, greetingPatience)
	defer cancel()
	conn, err := d.dial(ctx, address)
	if err != nil {
		return nil, err
	}
	greeted, err := d.greet(ctx, conn, secret)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return tcpring.NewEdge(greeted), nil
}

func (d *Direct) dial(ctx context.Context, address string) (net.Conn, error) {
	if d.Dial != nil {
		return d.Dial(ctx, address)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

// greet says what a direct connection begins with. When ctx ends it is cut short.
func (d *Direct) greet(ctx context.Context, conn net.Conn, secret tcpring.Secret) (net.Conn, error) {
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := conn.Write([]byte(tcpring.Magic)); err != nil {
		return nil, err
	}
	if d.Credentials != nil {
		secured, _, err := d.Credentials.ClientHandshake(ctx, cmp.Or(d.Credentials.Info().ServerName, conn.RemoteAddr().String()), conn)
		if err != nil {
			return nil, err
		}
		conn = secured
	}
	err := tcpring.Present(conn, secret)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	return conn, err
}

// offer is a direct connection that a previous rank may make.
type offer struct {
	secret tcpring.Secret
	claim  Claim
	taken  chan net.Conn
}

// Share returns the listener for the grpc.Server, on which its other services are
// reached as ever, and has the server offer direct connections, which come to the
// same port. creds are those of the grpc.Server. It is called before the first
// Connect.
func (s *Server) Share(lis net.Listener, creds credentials.TransportCredentials) net.Listener {
	s.creds = creds
	return tcpring.Split(lis, greetingPatience, s.greeted)
}

// errNotDirect is why a stream ended whose dialler had asked for a direct
// connection and made none.
var errNotDirect = errors.New("the direct connection did not come")

// accept says yes to a link, and waits for its direct connection, if there is to
// be one.
func (s *Server) accept(ctx context.Context, a *arrival) (*tcpring.Edge, error) {
	if !a.direct || s.creds == nil {
		return nil, a.stream.SendHeader(nil)
	}
	o := &offer{secret: tcpring.NewSecret(), claim: a.Claim, taken: make(chan net.Conn, 1)}
	s.put(o)
	defer s.revoke(o)
	if err := a.stream.SendHeader(metadata.Pairs(keyOffer, hex.EncodeToString(o.secret[:]))); err != nil {
		return nil, err
	}
	select {
	case conn := <-o.taken:
		return tcpring.NewEdge(conn), nil
	case <-a.stream.Context().Done():
		return nil, errNotDirect
	case <-ctx.Done():
		return nil, fmt.Errorf("the direct connection of generation %d did not come: %w", a.Generation, context.Cause(ctx))
	}
}

func (s *Server) put(o *offer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offers[o] = true
}

// revoke ends an offer. A connection that has taken it up unseen is dropped.
func (s *Server) revoke(o *offer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.offers, o)
	select {
	case conn := <-o.taken:
		conn.Close()
	default:
	}
}

// greeted hears out a connection that has begun as a direct one.
func (s *Server) greeted(conn net.Conn) {
	if err := s.hear(conn); err != nil {
		conn.Close()
	}
}

func (s *Server) hear(raw net.Conn) error {
	raw.SetDeadline(time.Now().Add(greetingPatience))
	conn, info, err := s.creds.ServerHandshake(raw)
	if err != nil {
		return err
	}
	secret, err := tcpring.Hear(conn)
	if err != nil {
		return err
	}
	ctx := peer.NewContext(context.Background(), &peer.Peer{Addr: raw.RemoteAddr(), AuthInfo: info})
	return s.take(ctx, conn, secret)
}

// take hands a connection to who has offered it, once.
func (s *Server) take(ctx context.Context, conn net.Conn, secret tcpring.Secret) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for o := range s.offers {
		if !o.secret.Equal(secret) {
			continue
		}
		if err := s.authorize(ctx, o.claim); err != nil {
			return err
		}
		delete(s.offers, o)
		if err := tcpring.Accept(conn); err != nil {
			return err
		}
		conn.SetDeadline(time.Time{})
		o.taken <- conn
		return nil
	}
	return errors.New("nobody has offered that")
}

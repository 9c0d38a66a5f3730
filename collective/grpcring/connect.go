package grpcring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"parallax/collective"
	"parallax/collective/tcpring"
	"parallax/internal/direct"
	"parallax/internal/pause"
	pb "parallax/proto/parallax/v1"
)

// DefaultWait bounds Connect where its context does not.
const DefaultWait = 30 * time.Second

// redial is the pause before a link is tried again that broke before it was accepted.
const redial = 50 * time.Millisecond

// Connect joins the ring of cfg's generation: it opens the link to the next rank
// and waits for that of the previous one. A *collective.Error names the
// neighbour that did not come before ctx ended. A world of one needs no
// transport and gets nil.
func (s *Server) Connect(ctx context.Context, cfg collective.Config, opts ...Option) (collective.Transport, error) {
	n := len(cfg.Members)
	if cfg.Rank < 0 || cfg.Rank >= n {
		return nil, fmt.Errorf("grpcring: rank %d is not in a ring of %d members", cfg.Rank, n)
	}
	if n == 1 {
		return nil, nil
	}
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, DefaultWait)
		defer cancel()
	}
	return s.join(ctx, &cfg, gather(opts))
}

// join waits for both neighbours at once. Whoever fails first is reported.
func (s *Server) join(ctx context.Context, cfg *collective.Config, o options) (collective.Transport, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.retire(cfg.Generation)
	type opened struct {
		next *outLink
		err  error
	}
	dialled := make(chan opened, 1)
	go func() {
		next, err := openNext(ctx, cfg, o)
		if err != nil {
			cancel()
		}
		dialled <- opened{next, err}
	}()
	prev, err := s.acceptPrev(ctx, cfg)
	if err != nil {
		cancel()
	}
	out := <-dialled
	switch {
	case out.err != nil && (err == nil || errors.Is(err, context.Canceled)):
		err = out.err
	case err == nil:
		return newTransport(out.next, prev), nil
	}
	if out.next != nil {
		out.next.close()
	}
	if prev != nil {
		prev.hangUp(status.Error(codes.Unavailable, err.Error()))
	}
	return nil, err
}

// acceptPrev waits for the previous rank's link and accepts it. If the link was to
// have a direct connection and that did not come about, the rank links once more.
func (s *Server) acceptPrev(ctx context.Context, cfg *collective.Config) (*prevLink, error) {
	n := len(cfg.Members)
	from := (cfg.Rank + n - 1) % n
	for {
		a, err := s.arrived(ctx, cfg, from)
		if err != nil {
			return nil, err
		}
		if err = checkClaim(a.Claim, cfg, from); err == nil {
			var edge *tcpring.Edge
			if edge, err = s.accept(ctx, a); err == nil {
				return &prevLink{a, edge}, nil
			}
		}
		a.end(status.Error(codes.FailedPrecondition, err.Error()))
		if err != direct.ErrNotTaken {
			return nil, cfg.Lost(from, err)
		}
	}
}

// arrived waits for the previous rank's stream.
func (s *Server) arrived(ctx context.Context, cfg *collective.Config, from int) (*arrival, error) {
	waiter := s.await(cfg)
	select {
	case a := <-waiter:
		return a, nil
	case <-ctx.Done():
		s.withdraw(cfg, waiter)
		return nil, cfg.Lost(from, fmt.Errorf("its link of generation %d did not come: %w", cfg.Generation, context.Cause(ctx)))
	}
}

func checkClaim(c Claim, cfg *collective.Config, from int) error {
	if c.From != from || c.World != len(cfg.Members) || c.Name != cfg.Members[from].Name {
		return fmt.Errorf("generation %d was linked by rank %d of %d (%s), whose view is another", c.Generation, c.From, c.World, c.Name)
	}
	return nil
}

// outLink is the stream to the next rank, on a connection of its own.
type outLink struct {
	conn   *grpc.ClientConn
	stream grpc.BidiStreamingClient[pb.Frame, pb.Frame]
	cancel context.CancelFunc
	direct *tcpring.Edge // nil: frames go over the stream
}

func (l *outLink) edge() collective.Edge {
	if l.direct != nil {
		return l.direct
	}
	return &edge{stream: l.stream}
}

func (l *outLink) close() error {
	if l.direct != nil {
		l.direct.Close()
	}
	l.cancel()
	return l.conn.Close()
}

// prevLink is the stream from the previous rank.
type prevLink struct {
	*arrival
	direct *tcpring.Edge // nil: frames go over the stream
}

func (l *prevLink) edge() collective.Edge {
	if l.direct != nil {
		return l.direct
	}
	return &edge{stream: l.stream}
}

// hangUp ends the link with a status.
func (l *prevLink) hangUp(err error) {
	if l.direct != nil {
		l.direct.Close()
	}
	l.end(err)
}

// openNext dials the next rank until it accepts the link, refuses it for good,
// or ctx ends.
func openNext(ctx context.Context, cfg *collective.Config, o options) (*outLink, error) {
	to := (cfg.Rank + 1) % len(cfg.Members)
	conn, err := grpc.NewClient("passthrough:///"+cfg.Members[to].Address, o.dialOptions()...)
	if err != nil {
		return nil, cfg.Lost(to, err)
	}
	var last error
	for {
		link, err := openLink(ctx, conn, cfg, to, &o)
		if err == nil {
			return link, nil
		}
		if last == nil || ctx.Err() == nil {
			last = plain(err)
		}
		if lasting(err) || !pause.For(ctx, redial) {
			conn.Close()
			return nil, cfg.Lost(to, fmt.Errorf("it did not accept the link of generation %d: %w", cfg.Generation, last))
		}
	}
}

// openLink opens one stream, and the direct connection that the next rank offers.
// If that cannot be used, the link does without from then on.
func openLink(ctx context.Context, conn *grpc.ClientConn, cfg *collective.Config, to int, o *options) (*outLink, error) {
	link, offer, err := openStream(ctx, conn, cfg, to, o.direct != nil)
	if err != nil || offer == "" {
		return link, err
	}
	beside, err := o.direct.Connect(ctx, cfg.Members[to].Address, offer)
	if err == nil {
		link.direct = tcpring.NewEdge(beside)
		return link, nil
	}
	link.cancel()
	if ctx.Err() == nil {
		o.direct.Tell(fmt.Sprintf("the link to rank %d (%s) goes over gRPC: no direct connection to %s came about: %v",
			to, cfg.Members[to].Name, cfg.Members[to].Address, err))
		o.direct = nil
	}
	return nil, err
}

// openStream opens one stream and waits until the next rank has accepted it, with
// its offer of a direct connection, if it makes one. The stream outlives ctx.
func openStream(ctx context.Context, conn *grpc.ClientConn, cfg *collective.Config, to int, direct bool) (*outLink, string, error) {
	claim := Claim{Generation: cfg.Generation, From: cfg.Rank, To: to, World: len(cfg.Members), Name: cfg.Members[cfg.Rank].Name, direct: direct}
	own, cancel := context.WithCancel(claim.outgoing())
	detach := context.AfterFunc(ctx, cancel)
	stream, err := pb.NewRingClient(conn).Link(own, grpc.ForceCodecV2(codec{}))
	var offer string
	if err == nil {
		offer, err = accepted(stream)
	}
	if !detach() {
		err = context.Cause(ctx)
	}
	if err != nil {
		cancel()
		return nil, "", err
	}
	return &outLink{conn: conn, stream: stream, cancel: cancel}, offer, nil
}

// accepted waits for the header, which is the other side's yes, and may hold an
// offer.
func accepted(stream grpc.BidiStreamingClient[pb.Frame, pb.Frame]) (offer string, err error) {
	md, err := stream.Header()
	if err == nil && md == nil {
		err = stream.RecvMsg(&message{})
	}
	return direct.Offered(md), err
}

// lasting reports whether trying again would get the same answer.
func lasting(err error) bool {
	switch status.Code(err) {
	case codes.FailedPrecondition, codes.PermissionDenied, codes.InvalidArgument, codes.Unauthenticated, codes.Unimplemented:
		return true
	}
	return false
}

// transport implements collective.Transport.
type transport struct {
	next               *outLink
	prev               *prevLink
	nextEdge, prevEdge collective.Edge
}

func newTransport(next *outLink, prev *prevLink) *transport {
	return &transport{next, prev, next.edge(), prev.edge()}
}

func (t *transport) Next() collective.Edge { return t.nextEdge }
func (t *transport) Prev() collective.Edge { return t.prevEdge }

func (t *transport) Close() error {
	t.prev.hangUp(nil)
	return t.next.close()
}

// edge implements collective.Edge on one stream.
type edge struct {
	stream  stream
	in, out message
}

// stream is what both sides of a gRPC stream have in common.
type stream interface {
	SendMsg(any) error
	RecvMsg(any) error
}

// Send implements collective.Edge.
func (e *edge) Send(f collective.Frame) error {
	e.out = message{Frame: f, owned: true}
	err := e.stream.SendMsg(&e.out)
	if e.out.owned {
		f.Payload.Release()
	}
	e.out = message{}
	return plain(err)
}

// Recv implements collective.Edge.
func (e *edge) Recv() (collective.Frame, error) {
	if err := e.stream.RecvMsg(&e.in); err != nil {
		return collective.Frame{}, plain(err)
	}
	return e.in.Frame, e.in.bad
}

// plain says in words what gRPC says in a status.
func plain(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	if s, ok := status.FromError(err); ok {
		return errors.New(s.Message())
	}
	return err
}

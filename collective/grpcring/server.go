package grpcring

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"parallax/collective"
	"parallax/internal/direct"
	pb "parallax/proto/parallax/v1"
)

// maxWaiting is how many links may wait for this node to enter their view.
const maxWaiting = 16

// Claim is what a rank that opens a link says of itself. Only credentials prove it.
type Claim struct {
	Generation uint64
	From, To   int // ranks
	World      int
	Name       string // of the node it comes from

	direct bool // it asks for a direct connection
}

const (
	keyGeneration = "parallax-generation"
	keyFrom       = "parallax-from"
	keyTo         = "parallax-to"
	keyWorld      = "parallax-world"
	keyName       = "parallax-name"
)

// outgoing is the context of the stream that is opened with c.
func (c Claim) outgoing() context.Context {
	md := metadata.Pairs(
		keyGeneration, strconv.FormatUint(c.Generation, 10),
		keyFrom, strconv.Itoa(c.From), keyTo, strconv.Itoa(c.To),
		keyWorld, strconv.Itoa(c.World), keyName, c.Name)
	ctx := metadata.NewOutgoingContext(context.Background(), md)
	if c.direct {
		return direct.Ask(ctx)
	}
	return ctx
}

func claimOf(md metadata.MD) (c Claim, err error) {
	text := func(key string) string {
		if v := md.Get(key); len(v) == 1 {
			return v[0]
		}
		return ""
	}
	number := func(key string, bits int) uint64 {
		n, bad := strconv.ParseUint(text(key), 10, bits)
		if bad != nil && err == nil {
			err = fmt.Errorf("%s %q is not a number that a link has", key, text(key))
		}
		return n
	}
	c = Claim{
		Generation: number(keyGeneration, 64),
		From:       int(number(keyFrom, 16)), To: int(number(keyTo, 16)), World: int(number(keyWorld, 17)),
		Name: text(keyName), direct: direct.Asked(md),
	}
	return c, err
}

// Server accepts the links of previous ranks, for one node and all its views.
type Server struct {
	pb.UnimplementedRingServer
	authorize func(context.Context, Claim) error
	host      *direct.Host // of direct connections; nil: there are none

	mu      sync.Mutex
	oldest  uint64             // generation that may still be linked
	waiting map[place]*arrival // links for views that this node is not in yet
	waiters map[place]chan *arrival
}

// place is whom a link is for.
type place struct {
	generation uint64
	rank       int
}

// arrival is a link that the previous rank has opened.
type arrival struct {
	Claim
	stream grpc.BidiStreamingServer[pb.Frame, pb.Frame]
	over   chan struct{} // closed: the handler may return
	once   sync.Once
	status error // what it returns; set before over is closed
}

func (a *arrival) end(err error) {
	a.once.Do(func() {
		a.status = err
		close(a.over)
	})
}

// ServerOption adjusts a Server.
type ServerOption func(*Server)

// WithAuthorize has f decide whether a link is let in. Its context is the
// stream's, with the peer's credentials.
func WithAuthorize(f func(context.Context, Claim) error) ServerOption {
	return func(s *Server) { s.authorize = f }
}

// WithDirectHost has the Server offer direct connections, which host accepts.
func WithDirectHost(host *direct.Host) ServerOption {
	return func(s *Server) { s.host = host }
}

// NewServer returns a Server that no link has reached yet.
func NewServer(opts ...ServerOption) *Server {
	s := &Server{
		authorize: func(context.Context, Claim) error { return nil },
		waiting:   map[place]*arrival{},
		waiters:   map[place]chan *arrival{},
	}
	for _, opt := range opts {
		opt(s)
	}
	return s
}

// Register adds the ring's service to g, which has been made with ServerOptions.
func (s *Server) Register(g grpc.ServiceRegistrar) { pb.RegisterRingServer(g, s) }

// Link implements the service. The stream lasts until either side has done.
func (s *Server) Link(stream grpc.BidiStreamingServer[pb.Frame, pb.Frame]) error {
	md, _ := metadata.FromIncomingContext(stream.Context())
	claim, err := claimOf(md)
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	if err := s.authorize(stream.Context(), claim); err != nil {
		return status.Error(codes.PermissionDenied, err.Error())
	}
	a := &arrival{Claim: claim, stream: stream, over: make(chan struct{})}
	if err := s.admit(a); err != nil {
		return err
	}
	select {
	case <-a.over:
		return a.status
	case <-stream.Context().Done():
		s.forget(a)
		return status.FromContextError(stream.Context().Err()).Err()
	}
}

// admit hands a link to who waits for it, or keeps it until somebody does.
func (s *Server) admit(a *arrival) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := place{a.Generation, a.To}
	if a.Generation < s.oldest {
		return status.Errorf(codes.FailedPrecondition, "generation %d is over, this node is in %d", a.Generation, s.oldest)
	}
	if waiter, ok := s.waiters[at]; ok {
		delete(s.waiters, at)
		waiter <- a
		return nil
	}
	if old, ok := s.waiting[at]; ok {
		old.end(status.Error(codes.Aborted, "the rank has opened its link anew"))
	} else if len(s.waiting) >= maxWaiting {
		return status.Errorf(codes.ResourceExhausted, "%d links wait for views that this node is not in", maxWaiting)
	}
	s.waiting[at] = a
	return nil
}

// forget drops a link that ended while it waited.
func (s *Server) forget(a *arrival) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := (place{a.Generation, a.To}); s.waiting[at] == a {
		delete(s.waiting, at)
	}
}

// retire has links of generations before this one refused from now on.
func (s *Server) retire(generation uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.oldest = max(s.oldest, generation)
	for at, a := range s.waiting {
		if at.generation < s.oldest {
			a.end(status.Errorf(codes.FailedPrecondition, "generation %d is over, this node is in %d", at.generation, s.oldest))
			delete(s.waiting, at)
		}
	}
}

// await returns the channel on which the link from the previous rank will come.
func (s *Server) await(cfg *collective.Config) <-chan *arrival {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, waiter := place{cfg.Generation, cfg.Rank}, make(chan *arrival, 1)
	if a, ok := s.waiting[at]; ok {
		delete(s.waiting, at)
		waiter <- a
	} else {
		s.waiters[at] = waiter
	}
	return waiter
}

// withdraw ends what await began, for a view that did not come about.
func (s *Server) withdraw(cfg *collective.Config, waiter <-chan *arrival) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiters, place{cfg.Generation, cfg.Rank})
	select {
	case a := <-waiter:
		a.end(status.Errorf(codes.Unavailable, "rank %d gave up the view", cfg.Rank))
	default:
	}
}

// Package ringbench measures the ring between real processes, over the transports
// and with the certificates that training uses: all-reduces as NCCL's tests report
// them, and how fast bytes travel one way, which bounds how fast a joiner fetches
// state. The command is internal/cli/benchring.go.
package ringbench

import (
	"context"
	"log/slog"
	"net"
	"time"

	"google.golang.org/grpc"

	"parallax/collective"
	"parallax/collective/grpcring"
	"parallax/internal/direct"
	"parallax/internal/trust"
)

// oneWayChunk is the payload of a frame where bytes travel one way.
const oneWayChunk = 1 << 20

// silence is how long a neighbour may be silent: a measurement is not there to find
// out who is slow to answer.
const silence = 20 * time.Second

// Seat is one process's place in the ring that is measured.
type Seat struct {
	Rank    int
	Members []collective.Member // with TLS, each has the certificate of its name
	Trust   trust.Trust
	Direct  bool          // frames go over direct connections, not gRPC
	Wait    time.Duration // for the neighbours to come
	Log     *slog.Logger
}

// Result is what every rank learns.
type Result struct {
	AllReduce, OneWay *collective.Measurement
}

// Measure takes the seat on a listener, which it closes, and measures together with
// all others.
func (s Seat) Measure(ctx context.Context, lis net.Listener, trial collective.Trial) (r Result, err error) {
	server, stop := s.serve(lis)
	defer stop()
	r.AllReduce, err = s.in(ctx, server, collective.Config{Generation: 1}, trial.AllReduce)
	if err == nil {
		r.OneWay, err = s.in(ctx, server, collective.Config{Generation: 2, ChunkBytes: oneWayChunk}, trial.OneWay)
	}
	return r, err
}

// serve lets the previous rank in.
func (s Seat) serve(lis net.Listener) (server *grpcring.Server, stop func()) {
	creds := s.Trust.ServerCredentials(s.Log)
	options := []grpcring.ServerOption{grpcring.WithAuthorize(func(ctx context.Context, c grpcring.Claim) error {
		return trust.CheckPeer(ctx, c.Name)
	})}
	if s.Direct {
		host := direct.NewHost(creds)
		options, lis = append(options, grpcring.WithDirectHost(host)), host.Share(lis)
	}
	server = grpcring.NewServer(options...)
	g := grpc.NewServer(append(grpcring.ServerOptions(), grpc.Creds(creds))...)
	server.Register(g)
	go g.Serve(lis)
	return server, g.Stop
}

// in closes a ring and measures in it.
func (s Seat) in(ctx context.Context, server *grpcring.Server, cfg collective.Config,
	measure func(context.Context, *collective.Comm) (*collective.Measurement, error)) (*collective.Measurement, error) {
	cfg.Rank, cfg.Members, cfg.Timeout = s.Rank, s.Members, silence
	waiting, cancel := context.WithTimeout(ctx, s.Wait)
	defer cancel()
	transport, err := server.Connect(waiting, cfg, s.options()...)
	if err != nil {
		return nil, err
	}
	comm, err := collective.New(cfg, transport)
	if err != nil {
		return nil, err
	}
	defer comm.Close()
	return measure(ctx, comm)
}

// options are how the next rank is dialled.
func (s Seat) options() (options []grpcring.Option) {
	next := s.Trust.Node(s.Members[(s.Rank+1)%len(s.Members)].Name)
	if s.Trust.Secure() {
		options = append(options, grpcring.WithDialOptions(next.DialOptions()...))
	}
	if s.Direct {
		options = append(options, grpcring.WithDirect(direct.Dialer{
			Credentials: next.Credentials(),
			Notice:      func(sentence string) { s.Log.Warn(sentence) },
		}))
	}
	return options
}

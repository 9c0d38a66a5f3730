// Package ringbench measures the ring between real processes, over the transports
// and with the certificates that training uses: all-reduces as NCCL's tests report
// them, how fast bytes travel one way, and in turns with that how fast a joiner fetches a
// state of as many bytes (fetch.go). The command is internal/cli/benchring.go.
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
	"parallax/internal/transfer"
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
	Fetch             *collective.Measurement // of a state of rank 0, by the last rank; in turns with OneWay
}

// Shares are, for each repetition, the rate of the fetch as a part of the rate one way.
func (r Result) Shares() []float64 {
	shares := make([]float64, len(r.Fetch.Seconds))
	for i, seconds := range r.Fetch.Seconds {
		shares[i] = r.OneWay.Seconds[i] / seconds
	}
	return shares
}

// Measure takes the seat on a listener, which it closes, and measures together with
// all others.
func (s Seat) Measure(ctx context.Context, lis net.Listener, trial collective.Trial) (r Result, err error) {
	server, source, stop := s.serve(lis)
	defer stop()
	err = s.in(ctx, server, collective.Config{Generation: 1}, func(c *collective.Comm) error {
		r.AllReduce, err = trial.AllReduce(ctx, c)
		return err
	})
	if err != nil {
		return r, err
	}
	err = s.in(ctx, server, collective.Config{Generation: 2, ChunkBytes: oneWayChunk}, func(c *collective.Comm) error {
		r.OneWay, r.Fetch, err = s.oneWay(ctx, c, source, trial)
		return err
	})
	return r, err
}

// serve lets the previous rank in, and who is to fetch.
func (s Seat) serve(lis net.Listener) (server *grpcring.Server, source *transfer.Source, stop func()) {
	var host *direct.Host
	creds := s.Trust.ServerCredentials(s.Log)
	options := []grpcring.ServerOption{grpcring.WithAuthorize(func(ctx context.Context, c grpcring.Claim) error {
		return trust.CheckPeer(ctx, c.Name)
	})}
	if s.Direct {
		host = direct.NewHost(creds)
		options, lis = append(options, grpcring.WithDirectHost(host)), host.Share(lis)
	}
	server = grpcring.NewServer(options...)
	g := grpc.NewServer(append(grpcring.ServerOptions(), grpc.Creds(creds))...)
	server.Register(g)
	source = transfer.NewSource(trust.CheckPeer, host)
	source.Register(g)
	go g.Serve(lis)
	return server, source, g.Stop
}

// in closes a ring and measures in it.
func (s Seat) in(ctx context.Context, server *grpcring.Server, cfg collective.Config, measure func(*collective.Comm) error) error {
	cfg.Rank, cfg.Members, cfg.Timeout = s.Rank, s.Members, silence
	waiting, cancel := context.WithTimeout(ctx, s.Wait)
	defer cancel()
	transport, err := server.Connect(waiting, cfg, s.options()...)
	if err != nil {
		return err
	}
	comm, err := collective.New(cfg, transport)
	if err != nil {
		return err
	}
	defer comm.Close()
	return measure(comm)
}

// options are how the next rank is dialled.
func (s Seat) options() []grpcring.Option {
	next := (s.Rank + 1) % len(s.Members)
	options := s.secured(next)
	if dialer := s.dialer(next); dialer != nil {
		options = append(options, grpcring.WithDirect(*dialer))
	}
	return options
}

// secured are the credentials that a rank is dialled with.
func (s Seat) secured(rank int) []grpcring.Option {
	if !s.Trust.Secure() {
		return nil
	}
	return []grpcring.Option{grpcring.WithDialOptions(s.Trust.Node(s.Members[rank].Name).DialOptions()...)}
}

// dialer makes direct connections to a rank; nil: there are to be none.
func (s Seat) dialer(rank int) *direct.Dialer {
	if !s.Direct {
		return nil
	}
	return &direct.Dialer{
		Credentials: s.Trust.Node(s.Members[rank].Name).Credentials(),
		Notice:      func(sentence string) { s.Log.Warn(sentence) },
	}
}

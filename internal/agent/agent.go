package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"

	"parallax/collective/grpcring"
	"parallax/internal/direct"
	"parallax/internal/gossip"
	"parallax/internal/network"
	"parallax/internal/train"
	"parallax/internal/transfer"
	"parallax/internal/trust"
	"parallax/internal/version"
	"parallax/kernels"
	pb "parallax/proto/parallax/v1"
)

// Options say where and how a node runs.
type Options struct {
	Name        string       // unique in the cluster
	Coordinator string       // host:port
	Listen      string       // host:port of the ring service, port 0: a free one
	Gossip      string       // host:port of memberlist, port 0: a free one
	Requeue     bool         // a node that has left because ctx was cancelled ends with 75, not 0
	Advertise   string       // host that others reach this node at; empty: Listen's
	Device      string       // "cpu", "cuda:0"
	Threads     int          // of a CPU device, 0: all
	Peak        float64      // FLOP/s of the device in matrix products, 0: it is measured
	Fabric      train.Fabric // what gradients go through; empty: auto
	SpecTOML    string       // the spec that the node expects, or empty
	CacheDir    string       // of token files, empty: the user's cache folder
	Rank        *int32       // that the launcher asks for, nil: any
	World       int32        // that the launcher has started, 0: unknown

	Trust    trust.Trust   // what the coordinator and neighbours must show, and are shown
	Insecure bool          // allows gossip that is not encrypted on other addresses than loopback
	Patience time.Duration // to wait for the coordinator at start
	Log      *slog.Logger

	Transport Transport // of the ring's frames; empty: TCP

	Network  network.Network // nil: the host's
	Prepared func()          // called once the node holds what it trains with; nil: nobody is told
	Observe  func(Place)     // for tests: told of each place of a view before the node goes on from there; nil: nobody is
}

// advertised is the address that others are told for one that is listened on:
// empty when it is that itself.
func (o Options) advertised(listen string) string {
	_, port, err := net.SplitHostPort(listen)
	if o.Advertise == "" || err != nil {
		return ""
	}
	return net.JoinHostPort(o.Advertise, port)
}

// agent is one node while it runs. What it holds is acquired in the order of
// the fields and given back in the opposite order.
type agent struct {
	o           Options
	log         *slog.Logger
	incarnation uint64

	device   kernels.Backend
	peak     float64 // FLOP/s of the device in matrix products, when it was opened
	listener net.Listener
	server   *grpc.Server
	ring     *grpcring.Server
	source   *transfer.Source
	gossip   *gossip.Gossip
	link     *link // nil while the coordinator is away
	outbox   *outbox
	tasks    sync.WaitGroup // short ones besides obey

	life context.Context // ends with the node
	end  context.CancelFunc

	welcome *pb.Welcome
	readied *pb.Ready // what it said when it was ready
	data    *train.Data
	trainer *train.Trainer
	saver   *saver
}

// Run takes part in one run and returns when it is over: nil when it was
// completed or stopped in good order, else an *Error. Cancelling ctx drains the
// node: it asks to leave after the step under way, and if the others are too few to
// go on without it, the run stops.
func Run(ctx context.Context, o Options) error {
	a := newAgent(o)
	defer a.close()
	if err := a.begin(ctx); err != nil {
		a.giveUp(err)
		return err
	}
	return a.obey(ctx)
}

// ErrKilled, as the cause of a context's end, makes [Run] end at once without a
// word to anybody, as far as a goroutine can: for simulations of a death.
var ErrKilled = errors.New("killed")

func newAgent(o Options) *agent {
	a := &agent{o: o, log: o.Log.With("node", o.Name), incarnation: uint64(time.Now().UnixNano())}
	a.outbox = newOutbox(a.log, maxKept)
	a.life, a.end = context.WithCancel(context.Background())
	return a
}

// begin acquires all that a node needs, until it is ready to train.
func (a *agent) begin(ctx context.Context) error {
	for _, acquire := range []func(context.Context) error{a.openDevice, a.listen, a.attach, a.joinGossip, a.prepare} {
		if err := acquire(ctx); err != nil {
			return err
		}
	}
	return nil
}

// peakTime is how long a device's peak is measured at start: short beside loading
// a model, and long enough to be right within some per cent on a host at rest.
const peakTime = 100 * time.Millisecond

func (a *agent) openDevice(context.Context) (err error) {
	a.device, err = kernels.Open(a.o.Device, kernels.Options{Threads: a.o.Threads})
	if err != nil {
		return usage("%w; choose another with --device", err)
	}
	if a.peak = a.o.Peak; a.peak == 0 {
		a.peak, err = kernels.MatMulRate(a.device, peakTime)
	}
	if err != nil {
		return usage("device %s cannot multiply matrices: %w", a.o.Device, err)
	}
	a.log.Info("device", "name", a.o.Device, "is", a.device.Info().Summary, "GFLOP/s", math.Round(a.peak/1e9))
	return nil
}

func (a *agent) listen(context.Context) (err error) {
	if err := a.o.Trust.CheckNode(a.o.Name); err != nil {
		return usage("%w", err)
	}
	a.listener, err = network.Listen(a.o.Network, a.o.Listen)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return usage("%s is in use by another process: choose another port with --listen, or 0 for a free one", a.o.Listen)
	case err != nil:
		return usage("cannot listen on %s: %w", a.o.Listen, err)
	}
	creds := a.o.Trust.ServerCredentials(a.log)
	serving, options := a.listener, []grpcring.ServerOption{grpcring.WithAuthorize(func(ctx context.Context, c grpcring.Claim) error {
		return trust.CheckPeer(ctx, c.Name)
	})}
	var host *direct.Host
	if a.o.Transport != GRPC {
		host = direct.NewHost(creds)
		serving, options = host.Share(serving), append(options, grpcring.WithDirectHost(host))
	}
	a.server = grpc.NewServer(append(grpcring.ServerOptions(), grpc.Creds(creds))...)
	a.ring = grpcring.NewServer(options...)
	a.ring.Register(a.server)
	a.source = transfer.NewSource(trust.CheckPeer, host)
	a.source.Register(a.server)
	go a.server.Serve(serving)
	return nil
}

// address is where the ring service is reached.
func (a *agent) address() string {
	_, port, _ := net.SplitHostPort(a.listener.Addr().String())
	host, _, _ := net.SplitHostPort(a.o.Listen)
	if a.o.Advertise != "" {
		host = a.o.Advertise
	} else if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host, _ = os.Hostname()
	}
	return net.JoinHostPort(host, port)
}

func (a *agent) attach(ctx context.Context) (err error) {
	a.log.Info("attaching", "coordinator", a.o.Coordinator)
	answered := a.waitAloud()
	a.link, err = a.dial(ctx, a.o.Patience, a.hello())
	answered()
	if err != nil {
		if ctx.Err() != nil {
			return errInterrupted
		}
		return err
	}
	select {
	case m, open := <-a.link.orders:
		if !open {
			return a.link.unwelcome(a.o.Coordinator)
		}
		if a.welcome, err = welcomed(m); err != nil {
			return err
		}
		a.log.Info("welcome", "run", a.welcome.RunId)
		a.source.Open(a.welcome.RunId, a.failureTimeout()/beats)
		a.link.carry(a.failureTimeout())
		return nil
	case <-ctx.Done():
		return errInterrupted
	}
}

var errInterrupted = errors.New("interrupted before training began")

func (a *agent) hello() *pb.Hello {
	host, _ := os.Hostname()
	return &pb.Hello{
		NodeId: a.o.Name, Incarnation: a.incarnation,
		RingAddress: a.address(),
		Device:      a.o.Device, DeviceSummary: a.device.Info().Summary, Arithmetic: a.device.Info().Arithmetic,
		PeakFlops: a.peak,
		Host:      host, Pid: int64(os.Getpid()), Version: version.String(),
		SpecToml: a.o.SpecTOML, Rank: a.o.Rank, WorldSize: a.o.World,
	}
}

// welcomed reads a coordinator's first message.
func welcomed(m *pb.CoordinatorMessage) (*pb.Welcome, error) {
	switch k := m.GetKind().(type) {
	case *pb.CoordinatorMessage_Refusal:
		return nil, refusedBy(k.Refusal)
	case *pb.CoordinatorMessage_Stop:
		return nil, &Error{int(k.Stop.ExitCode), errors.New(k.Stop.Reason)}
	case *pb.CoordinatorMessage_Welcome:
		return k.Welcome, nil
	}
	return nil, fmt.Errorf("the coordinator began with a %T instead of a welcome: are both of one version?", m.GetKind())
}

func refusedBy(r *pb.Refusal) error {
	return &Error{int(r.ExitCode), fmt.Errorf("the coordinator refuses this node: %s", r.Reason)}
}

// report tells the coordinator, now or when it is back.
func (a *agent) report(m *pb.NodeMessage) { a.outbox.add(m) }

// joinGossip makes the node a member of the cluster that the coordinator is in,
// with the key and the deadline it was welcomed with.
func (a *agent) joinGossip(context.Context) error {
	keys, err := a.gossipKeys()
	if err != nil {
		return err
	}
	tuning, err := gossip.TuningFor(a.failureTimeout())
	if err != nil {
		return usage("%w", err)
	}
	a.gossip, err = gossip.Start(gossip.Config{
		Bind: a.o.Gossip, Advertise: a.o.advertised(a.o.Gossip), Keys: keys, Tuning: tuning, Log: a.log,
		Transport: network.Gossip(a.o.Network),
		Meta:      gossip.Meta{ID: a.o.Name, Incarnation: a.incarnation, Role: gossip.Node, Address: a.address(), Device: a.o.Device},
	})
	if err != nil {
		return usage("%w", err)
	}
	if err := a.gossip.Join(a.welcome.GossipAddress); err != nil {
		return unavailable("cannot join the gossip cluster at %s: %w", a.welcome.GossipAddress, err)
	}
	return nil
}

// gossipKeys are the keys that the node was welcomed with. Without one it gossips
// on loopback, or where that is asked for, and says so where all else is encrypted.
func (a *agent) gossipKeys() ([][]byte, error) {
	if len(a.welcome.GossipKey) > 0 {
		return append([][]byte{a.welcome.GossipKey}, a.welcome.GossipOldKeys...), nil
	}
	if host, _, _ := net.SplitHostPort(a.o.Gossip); !a.o.Insecure && !trust.Loopback(host) {
		return nil, usage("--gossip %s can be reached from other hosts, and the coordinator has no gossip key: give it one with --gossip-key-file, or allow this with --insecure on a network you trust", a.o.Gossip)
	}
	if a.o.Trust.Secure() {
		a.log.Warn("TLS does not encrypt gossip, and the coordinator has no key for it: give it one with --gossip-key-file", "gossip", a.o.Gossip)
	}
	return nil, nil
}

// beats is how often in a failure timeout a member shows a joiner that it lives.
const beats = 4

// absenceTimeout is how long a node that cannot train waits for a coordinator.
func (a *agent) absenceTimeout() time.Duration {
	return time.Duration(a.welcome.GetCluster().GetAbsenceTimeoutNs())
}

func (a *agent) failureTimeout() time.Duration {
	return time.Duration(a.welcome.GetCluster().GetFailureTimeoutNs())
}

// giveUp tells the coordinator why this node cannot take part.
func (a *agent) giveUp(err error) {
	if a.link == nil || a.welcome == nil {
		return
	}
	a.report(&pb.NodeMessage{Kind: &pb.NodeMessage_Failure{Failure: &pb.Failure{
		Error: err.Error(), Fatal: true, ExitCode: exitCode(err)}}})
}

// exitCode is the one that err asks for, or 1.
func exitCode(err error) int32 {
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		return int32(coded.ExitCode())
	}
	return 1
}

// farewell is how long the news of leaving may take; the last to leave has
// nobody to tell.
const farewell = 300 * time.Millisecond

// close gives everything back.
func (a *agent) close() {
	if a.saver != nil {
		a.saver.wait()
	}
	if a.link != nil {
		a.link.hangUp()
	}
	a.end()
	a.tasks.Wait()
	if a.gossip != nil {
		_ = a.gossip.Leave(farewell)
		_ = a.gossip.Shutdown()
	}
	if a.server != nil {
		a.server.Stop()
	}
	if a.trainer != nil {
		a.trainer.Close()
	}
	if a.data != nil {
		a.data.Close()
	}
	if a.device != nil {
		_ = a.device.Close()
	}
}

package coord

import (
	"cmp"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"parallax/internal/gossip"
	"parallax/internal/network"
	"parallax/internal/trust"
	"parallax/record"
)

// Options say where and how a coordinator runs.
type Options struct {
	Listen      string // host:port of the gRPC service, port 0: a free one
	Advertise   string // host that nodes reach us at; empty: Listen's, or the host's name where that is 0.0.0.0
	AddressFile string // our host:port is written there once we listen; empty: nowhere

	Gossip     string   // IP:port of memberlist, port 0: a free one
	GossipKeys [][]byte // handed to the nodes, the first is the one to use; none: gossip is not encrypted

	Trust    trust.Trust // what nodes and people must show, and are shown
	Insecure bool        // allows addresses other than loopback without TLS

	Nodes          int           // the run starts when so many are ready
	MinNodes       int           // and with so many when JoinTimeout has passed; with fewer it does not go on; 0: Nodes
	JoinTimeout    time.Duration // how long nodes are waited for; 0: for ever
	QuorumTimeout  time.Duration // how long a run that has lost too many nodes waits for others; 0: not at all, or 30 failure timeouts where MinNodes is less than Nodes
	FailureTimeout time.Duration // how long a silent node is waited for

	StragglerFactor float64 // how many times slower than the others a straggler computes, more than 1; 0: nobody looks

	RunID  string       // of a new run; empty: one made from the time
	RunDir string       // where the run's checkpoints go
	Run    *Submission  // what to train; nil: it is submitted over the network
	Log    *slog.Logger // nil: slog's default

	Network network.Network // nil: the host's
	Observe func(Decision)  // for tests: told of each decision before it is carried out; nil: nobody is

	Ledger  func() (*record.Ledger, error) // opens the record, once we listen; nil: none is kept. The caller closes it
	Version string                         // of this program, for the record
}

// Error is why a coordinator could not start, with the exit code it asks for.
type Error struct {
	Code int
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// ExitCode is for the command line.
func (e *Error) ExitCode() int { return e.Code }

func usage(format string, args ...any) error {
	return &Error{ExitUsage, fmt.Errorf(format, args...)}
}

// check finds contradictions before anything is begun.
func (o *Options) check() error {
	if err := o.coreConfig().check(); err != nil {
		return usage("%w", err)
	}
	if o.RunDir == "" {
		return usage("no folder is given for the run's checkpoints: use --run-dir DIR")
	}
	if o.Run != nil {
		if err := New(Config{Nodes: o.Nodes}).CheckJob(Job{Submission: *o.Run}); err != nil {
			return usage("%w", err)
		}
	}
	return o.checkExposure()
}

// checkExposure refuses to be reachable from other hosts unprotected, unless
// asked to, and ever to hand out the gossip key in the clear.
func (o *Options) checkExposure() error {
	if err := o.Trust.CheckCoordinator(o.hosts()); err != nil {
		return usage("%w", err)
	}
	if err := o.Trust.CheckAddress("--listen", o.Listen, o.Insecure); err != nil {
		return usage("%w", err)
	}
	listen, _, _ := net.SplitHostPort(o.Listen)
	host, _, err := net.SplitHostPort(o.Gossip)
	switch {
	case err != nil:
		return usage("--gossip is %q, want HOST:PORT", o.Gossip)
	case len(o.GossipKeys) > 0 && !o.Trust.Secure() && !trust.Loopback(listen):
		return usage("nodes get the gossip key through --listen %s, where it could be read on the way without TLS: give --tls-ca, --tls-cert and --tls-key too", o.Listen)
	case len(o.GossipKeys) == 0 && !o.Insecure && !trust.Loopback(host):
		return usage("--gossip %s can be reached from other hosts, and gossip is not encrypted: give --gossip-key-file, or allow it with --insecure on a network you trust", o.Gossip)
	}
	return nil
}

// hosts are the names and addresses that others may reach us at, the likeliest first.
func (o *Options) hosts() []string {
	listen, _, _ := net.SplitHostPort(o.Listen)
	ip := net.ParseIP(listen)
	switch {
	case o.Advertise != "":
		return []string{o.Advertise}
	case listen != "" && (ip == nil || !ip.IsUnspecified()):
		return []string{listen}
	}
	name, _ := os.Hostname()
	short, _, _ := strings.Cut(name, ".")
	all := []string{name, short}
	addresses, _ := net.InterfaceAddrs()
	for _, a := range addresses {
		if in, ok := a.(*net.IPNet); ok {
			all = append(all, in.IP.String())
		}
	}
	return all
}

// coreConfig is what the core is told of them.
func (o *Options) coreConfig() Config {
	return Config{
		Nodes:          o.Nodes,
		MinNodes:       cmp.Or(o.MinNodes, o.Nodes),
		JoinTimeout:    o.JoinTimeout,
		QuorumTimeout:  o.QuorumTimeout,
		FailureTimeout: o.FailureTimeout,

		StragglerFactor: o.StragglerFactor,
	}
}

// gossipConfig is our membership; address is that of the gRPC service.
func (o *Options) gossipConfig(address string) (gossip.Config, error) {
	tuning, err := gossip.TuningFor(o.FailureTimeout)
	if err != nil {
		return gossip.Config{}, err
	}
	c := gossip.Config{
		Bind:   o.Gossip,
		Keys:   o.GossipKeys,
		Tuning: tuning,
		Log:    o.Log,

		Transport: network.Gossip(o.Network),
		Meta: gossip.Meta{
			ID:          "coordinator",
			Incarnation: uint64(time.Now().UnixNano()),
			Role:        gossip.Coordinator,
			Address:     address,
		},
	}
	if o.Advertise != "" {
		_, port, _ := net.SplitHostPort(o.Gossip)
		c.Advertise = net.JoinHostPort(o.Advertise, port)
	}
	return c, nil
}

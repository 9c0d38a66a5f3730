package coord

import (
	"fmt"
	"log/slog"
	"net"
	"time"

	"google.golang.org/grpc/credentials"

	"parallax/internal/gossip"
	"parallax/record"
)

// Options say where and how a coordinator runs.
type Options struct {
	Listen      string // host:port of the gRPC service, port 0: a free one
	Advertise   string // host that nodes reach us at; empty: Listen's, or the host's name where that is 0.0.0.0
	AddressFile string // our host:port is written there once we listen; empty: nowhere

	Gossip    string // IP:port of memberlist, port 0: a free one
	GossipKey []byte // 16, 24 or 32 bytes, handed to the nodes; empty: gossip is not encrypted

	Credentials credentials.TransportCredentials // TLS; nil: none
	Insecure    bool                             // allows addresses other than loopback without TLS

	Nodes          int           // the run starts when so many are ready
	MinNodes       int           // and with so many when JoinTimeout has passed; 0: Nodes
	JoinTimeout    time.Duration // how long nodes are waited for; 0: for ever
	FailureTimeout time.Duration // how long a silent node is waited for

	RunID  string       // of a new run; empty: one made from the time
	RunDir string       // where the run's checkpoints go
	Run    *Submission  // what to train; nil: it is submitted over the network
	Log    *slog.Logger // nil: slog's default

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

// maxNodes bounds --nodes: more is a typing error.
const maxNodes = 4096

// check finds contradictions before anything is begun.
func (o *Options) check() error {
	switch {
	case o.Nodes < 1 || o.Nodes > maxNodes:
		return usage("--nodes is %d; it must be 1 to %d", o.Nodes, maxNodes)
	case o.MinNodes < 0 || o.MinNodes > o.Nodes:
		return usage("--min-nodes is %d; it must be 1 to --nodes, which is %d", o.MinNodes, o.Nodes)
	case o.MinNodes > 0 && o.MinNodes < o.Nodes && o.JoinTimeout <= 0:
		return usage("--min-nodes is %d, less than --nodes: say with --join-timeout how long to wait for the others", o.MinNodes)
	case o.RunDir == "":
		return usage("no folder is given for the run's checkpoints: use --run-dir DIR")
	}
	if o.Run != nil {
		if err := New(Config{Nodes: o.Nodes}).CheckJob(Job{Submission: *o.Run}); err != nil {
			return usage("%w", err)
		}
	}
	if err := o.checkExposure("--listen", o.Listen, o.Credentials != nil, "TLS"); err != nil {
		return err
	}
	return o.checkExposure("--gossip", o.Gossip, len(o.GossipKey) > 0, "a gossip key")
}

// checkExposure refuses to be reachable from other hosts unprotected, unless asked to.
func (o *Options) checkExposure(flag, address string, protected bool, protection string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return usage("%s is %q, which is not HOST:PORT", flag, address)
	}
	if protected || o.Insecure || isLoopback(host) {
		return nil
	}
	return usage("%s %s can be reached from other hosts, and there is no %s: listen on 127.0.0.1, or allow it with --insecure on a network you trust",
		flag, address, protection)
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// gossipConfig is our membership; address is that of the gRPC service.
func (o *Options) gossipConfig(address string) (gossip.Config, error) {
	tuning, err := gossip.TuningFor(o.FailureTimeout)
	if err != nil {
		return gossip.Config{}, err
	}
	c := gossip.Config{
		Bind:   o.Gossip,
		Key:    o.GossipKey,
		Tuning: tuning,
		Log:    o.Log,
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

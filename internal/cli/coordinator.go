package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"parallax/internal/config"
	"parallax/internal/console"
	"parallax/internal/coord"
	"parallax/internal/trust"
	"parallax/internal/version"
	"parallax/internal/web"
	"parallax/record"
)

// coordinatorFlags are how a coordinator is deployed.
type coordinatorFlags struct {
	daemonFlags
	options coord.Options
	keys    string // file of the gossip keys
	page    pageFlags
	ledger  string
	record  *record.Ledger // once it is open
	hasRun  bool           // given by --spec, or left by a coordinator that crashed
	name    string
	resume  bool
	requeue bool
	json    bool
}

// Coordinator is the daemon that forms the cluster and decides.
func Coordinator() *cobra.Command {
	var f coordinatorFlags
	cmd := newRoot("coordinator", "Form the cluster of one run, decide who trains what, keep the record")
	cmd.Long = `coordinator waits for nodes, deals the work out to them, joins their reports, and
records the run. It ends with the run.

Without --spec it waits for a run to be submitted with parallax train. Every flag can
also be given as PARALLAX_FLAG_NAME in the environment, or in a TOML file with
--settings.

SIGINT and SIGTERM stop the run after the step under way, with a checkpoint, and exit
with 0; SIGUSR1 does so and exits with 75, which asks a scheduler to requeue. A second
signal ends at once.`
	cmd.Example = `  coordinator --nodes 4 --spec run.toml --run-dir runs/first
  coordinator --listen 10.0.0.1:7070 --gossip 10.0.0.1:7946 --nodes 8 --spec run.toml --insecure
  coordinator --listen 10.0.0.1:7070 --gossip 10.0.0.1:7946 --nodes 8 --spec run.toml --gossip-key-file gossip.key \
      --tls-ca tls/ca.pem --tls-cert tls/cert.pem --tls-key tls/key.pem
  coordinator --nodes 4 --min-nodes 2 --spec run.toml --run-dir runs/first
  coordinator --nodes 4 --spec run.toml --run-dir runs/first --resume`
	f.daemon(cmd, f.run)
	f.declare(cmd)
	return cmd
}

func (f *coordinatorFlags) declare(cmd *cobra.Command) {
	o, flags := &f.options, cmd.Flags()
	o.Listen, o.Gossip = "127.0.0.1:7070", "127.0.0.1:7946"
	f.add(cmd, reach{&o.Listen, &o.Advertise, &o.Gossip}, "nodes and people", "of the run (default: wait for parallax train)")
	flags.StringVar(&o.AddressFile, "address-file", "", "write the HOST:PORT listened on to this `file`")
	flags.StringVar(&f.keys, "gossip-key-file", "", "`file` of the gossip cluster's keys, the first is used and all are understood; see parallax certs gossip-key")
	flags.IntVar(&o.Nodes, "nodes", 1, "how many nodes the run starts with")
	flags.IntVar(&o.MinNodes, "min-nodes", 0, "how many nodes do: the run starts with them once --join-timeout has passed, and goes on with them when others are lost (default: --nodes)")
	flags.DurationVar(&o.JoinTimeout, "join-timeout", 0, "how long all --nodes are waited for (default: for ever)")
	flags.DurationVar(&o.QuorumTimeout, "quorum-timeout", 0, "how long a run with fewer than --min-nodes waits for more (default: 30 failure timeouts, or not at all where all nodes are needed)")
	flags.DurationVar(&o.FailureTimeout, "failure-timeout", config.DefaultFailureTimeout, "how long to wait for a silent peer; every deadline is derived from it")
	flags.Float64Var(&o.StragglerFactor, "straggler-factor", 1.5, "a node that computes so many times slower than the others is named, and gets fewer micro-batches where train.reduction is sum-exact; 0 leaves stragglers alone")
	flags.StringVar(&o.RunDir, "run-dir", "", "`folder` of the run's checkpoints (default: runs/ and the run's id)")
	flags.StringVar(&o.RunID, "run-id", "", "`id` of a new run (default: from the time of its start)")
	flags.StringVar(&f.ledger, "ledger", "", "SQLite `file` of the record (default: ledger.db beside the run's folder)")
	f.page.add(flags)
	addRunName(flags, &f.name)
	flags.BoolVar(&f.resume, "resume", false, "go on from the newest checkpoint in --run-dir")
	flags.BoolVar(&f.requeue, "requeue", false, requeueUsage)
	addEventsJSON(flags, &f.json)
}

func (f *coordinatorFlags) run(cmd *cobra.Command) (err error) {
	o := &f.options
	o.Log = newLogger(f.verbose)
	if err := f.secure(); err != nil {
		return err
	}
	if err := f.submission(); err != nil {
		return err
	}
	if err := f.place(); err != nil {
		return err
	}
	if _, err := os.Stat(f.ledger); err != nil && f.used() {
		return f.refuseUsed()
	}
	o.Ledger, o.Version = f.begin, version.String()
	defer func() {
		if f.record != nil {
			f.record.Close()
		}
	}()
	return f.serve(cmd.Context())
}

// secure reads what nodes and people must show, and what gossip is encrypted with.
func (f *coordinatorFlags) secure() (err error) {
	o := &f.options
	o.Insecure = f.trust.insecure
	if o.Trust, err = f.trust.load("coordinator"); err != nil {
		return err
	}
	if f.keys == "" {
		if o.Trust.Secure() {
			o.Log.Warn("TLS does not encrypt gossip: whoever reaches its address can read it, and speak in it for a node; "+
				"make a key (parallax certs gossip-key > gossip.key) and give it with --gossip-key-file gossip.key", "gossip", o.Gossip)
		}
		return nil
	}
	if o.GossipKeys, err = trust.LoadGossipKeys(f.keys); err != nil {
		return usageError("%w", err)
	}
	return nil
}

// begin makes the run's folder and opens the record. It refuses a used folder unless
// the coordinator of its run has crashed.
func (f *coordinatorFlags) begin() (_ *record.Ledger, err error) {
	if err := os.MkdirAll(f.options.RunDir, 0o755); err != nil {
		return nil, fmt.Errorf("the run's folder cannot be made: %w; choose another with --run-dir", err)
	}
	if f.record, err = record.Open(f.ledger); err != nil {
		return nil, err
	}
	crashed, err := coord.Unfinished(f.record, f.options.RunDir)
	if err == nil && crashed == nil && f.used() {
		err = f.refuseUsed()
	}
	if err == nil && crashed == nil {
		err = f.refuseOther()
	}
	f.hasRun = f.options.Run != nil || crashed != nil
	return f.record, err
}

// submission reads the run spec, if there is one.
func (f *coordinatorFlags) submission() error {
	if f.spec.file == "" {
		return nil
	}
	loaded, err := f.spec.load()
	if err != nil {
		return err
	}
	f.options.Run = &coord.Submission{Name: f.name, Resume: f.resume, Spec: loaded.Spec}
	return nil
}

// place decides where the run and its record lie.
func (f *coordinatorFlags) place() (err error) {
	o := &f.options
	if o.RunDir == "" {
		if f.resume {
			return usageError("--resume needs --run-dir: which run is to go on?")
		}
		o.RunID = cmp.Or(o.RunID, record.NewRunID(time.Now()))
		o.RunDir = filepath.Join("runs", o.RunID)
	}
	if o.RunDir, err = filepath.Abs(o.RunDir); err != nil {
		return err
	}
	if f.ledger == "" {
		f.ledger = filepath.Join(filepath.Dir(o.RunDir), "ledger.db")
	}
	return nil
}

// serve runs the coordinator and prints the run's events until it is over.
func (f *coordinatorFlags) serve(ctx context.Context) error {
	ctx, cancel := withRequeue(ctx)
	defer cancel(nil)
	listener, err := f.page.listen(f.options.Insecure)
	if err != nil {
		return err
	}
	c, err := coord.Start(f.options)
	if err != nil {
		closePage(listener)
		return nothingToDo(err)
	}
	defer f.servePage(c, listener)()
	defer context.AfterFunc(ctx, func() { f.stopFor(c, context.Cause(ctx)) })()
	printer := console.New(os.Stdout, f.json)
	if !f.json {
		fmt.Println(f.waitsFor(c.Address()))
		if listener != nil {
			fmt.Printf("watch at %s\n", web.URL(listener))
		}
	}
	for e := range c.Events(context.Background(), 0) {
		printer.Event(e)
	}
	printer.Close()
	return exitWith(c.Wait().Code)
}

// waitsFor tells what must come before a run starts.
func (f *coordinatorFlags) waitsFor(address string) string {
	line := fmt.Sprintf("coordinating at %s, waiting for %s", address, count(f.options.Nodes, "node"))
	if !f.hasRun {
		line += fmt.Sprintf(" and a run: submit it with parallax train --coordinator %s --config run.toml", address)
	}
	return line
}

// servePage shows the run on a page until the function that it returns is called.
func (f *coordinatorFlags) servePage(c *coord.Coordinator, l net.Listener) (end func()) {
	if l == nil {
		return func() {}
	}
	o := &f.options
	page := web.New(web.Options{Run: c, Ledger: f.record, Version: o.Version, Log: o.Log})
	go func() {
		if err := page.Serve(l); err != nil {
			o.Log.Warn("training goes on without its page", "error", err)
		}
	}()
	return page.Close
}

func closePage(l net.Listener) {
	if l != nil {
		l.Close()
	}
}

func (f *coordinatorFlags) stopFor(c *coord.Coordinator, cause error) {
	if f.requeue || errors.Is(cause, errRequeue) {
		c.Stop("the host is taken back", exitRequeue)
		return
	}
	c.Stop("interrupted", exitOK)
}

const requeueUsage = "end with 75 where SIGINT or SIGTERM has ended a part in the run, so that a cluster's manager starts it again elsewhere"

// errRequeue is the cause of a context's end that asks for exit code 75.
var errRequeue = errors.New("the host takes its resources back")

// withRequeue ends ctx with errRequeue on SIGUSR1, the warning that
// schedulers send before they take a host back.
func withRequeue(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	go func() {
		defer signal.Stop(signals)
		select {
		case <-signals:
			cancel(errRequeue)
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"parallax/internal/console"
	"parallax/internal/coord"
	"parallax/internal/pause"
	"parallax/internal/trust"
	"parallax/internal/web"
	"parallax/kernels"
	"parallax/launch"
	pb "parallax/proto/parallax/v1"
)

// simCluster is a simulated cluster: a coordinator and nodes as processes on this
// machine.
type simCluster struct {
	nodes   int
	minimum int      // the run goes on with so many; 0: all
	devices []string // dealt out to the nodes
	threads int      // of each node; 0: this machine's cores shared out
	cache   string
	http    string // where its page is served, "": nowhere
	name    string // of the run
	resume  bool
	tls     bool   // the processes prove themselves to each other
	goOn    string // how a person goes on when it has broken down
}

// add declares the flags of a cluster whose run a person watches.
func (s *simCluster) add(flags *pflag.FlagSet, nodes int) {
	s.addProcesses(flags, nodes)
	flags.IntVar(&s.minimum, "min-nodes", 0, "when nodes are lost, go on with so many (default: --nodes, so that losing one ends the run)")
	flags.StringVar(&s.http, "http", web.DefaultAddress, httpUsage)
}

// addProcesses declares what processes the cluster has.
func (s *simCluster) addProcesses(flags *pflag.FlagSet, nodes int) {
	flags.IntVarP(&s.nodes, "nodes", "n", nodes, "number of nodes")
	flags.StringSliceVar(&s.devices, "device", []string{"cpu"}, "`device` of every node, or several that are dealt out: cpu, cuda:0,cuda:1")
	addThreadsOf(flags, &s.threads, "threads of each node (default: this machine's cores shared out)")
	addCache(flags, &s.cache)
	flags.BoolVar(&s.tls, "tls", false, "mutual TLS between all processes, as between hosts, with certificates made for the run")
}

func (s *simCluster) check() error {
	if s.nodes < 1 || s.nodes > coord.MaxNodes {
		return usageError("--nodes %d: a cluster has 1 to %d nodes", s.nodes, coord.MaxNodes)
	}
	if s.minimum < 0 || s.minimum > s.nodes {
		return usageError("--min-nodes is %d; it must be 1 to --nodes, which is %d", s.minimum, s.nodes)
	}
	for _, device := range s.devices {
		if err := kernels.Check(device); err != nil {
			return usageError("--device: %w", err)
		}
	}
	return nil
}

// train makes the run, shows its events, and returns how it ended. When ctx ends
// the run is stopped after the step under way, with a checkpoint.
func (s *simCluster) train(ctx context.Context, run simRun, printer console.Printer) (*pb.Done, error) {
	identities, err := s.certify(run)
	if err != nil {
		return nil, err
	}
	cluster, err := s.start(ctx, run, identities)
	if err != nil {
		return nil, err
	}
	if s.http != "" {
		fmt.Fprintf(os.Stderr, "watch at %s\n", pageURL(run.dir))
	}
	done, err := s.follow(ctx, cluster, identities.us, printer)
	if err != nil {
		return nil, s.brokeDown(ctx, cluster, err)
	}
	s.end(cluster)
	return done, nil
}

func (s *simCluster) start(ctx context.Context, run simRun, identities simTLS) (*launch.Cluster, error) {
	cluster, err := s.local(run, identities).Start(ctx)
	if exit := new(launch.Exit); errors.As(err, &exit) && exit.Code == exitUsage {
		return nil, &exitError{exitUsage, err}
	}
	return cluster, err
}

func (s *simCluster) local(run simRun, identities simTLS) launch.Local {
	threads := s.threads
	if threads == 0 {
		threads = max(1, runtime.GOMAXPROCS(0)/s.nodes)
	}
	return launch.Local{
		Restarted: sayRestarted,
		Nodes:     s.nodes, Devices: s.devices, Threads: threads, Dir: run.dir, Spec: run.specFile(), Resume: s.resume,
		CoordinatorArgs: append(identities.coordinator,
			"--min-nodes", strconv.Itoa(s.minimum), "--run-id", run.id, "--name", s.name, "--http", s.http, "--page-file", pageFile(run.dir)),
		NodeArgs: append(identities.nodes, "--cache", s.cache),
	}
}

// sayRestarted tells a person that the coordinator has crashed, which costs the run
// nothing.
func sayRestarted(e launch.Exit) {
	fmt.Fprintf(os.Stderr, "the coordinator %s; it is started again, and training goes on meanwhile (its log is %s)\n", e.How(), shown(e.Log))
}

const (
	// patience is how long the cluster may take to notice that one of its
	// processes has ended, and the coordinator to end after the run.
	patience = 15 * time.Second
	// goodbye is how long a node may take to end after the run. One that takes
	// longer was stopped, or hangs.
	goodbye = 2 * time.Second
	// orphanage is how long nodes without a coordinator may take for the step
	// under way and a checkpoint.
	orphanage = time.Minute
)

// end waits until all processes of a run that is over have ended.
func (s *simCluster) end(cluster *launch.Cluster) {
	hanging := time.AfterFunc(goodbye, func() {
		for i := range s.nodes {
			_ = cluster.Kill(i)
		}
	})
	defer hanging.Stop()
	ending, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_ = cluster.Stop(ending) // whatever is left is killed
}

// brokeDown waits until a cluster whose end nobody has told has ended, and says
// which process was at fault. When ctx ends, all is killed.
func (s *simCluster) brokeDown(ctx context.Context, cluster *launch.Cluster, cause error) error {
	if refused := new(launch.Exit); errors.As(cause, &refused) && refused.Code == exitUsage {
		cluster.KillAll()
		cluster.Wait()
		return &exitError{exitUsage, refused}
	}
	for i := range s.nodes {
		_ = cluster.Signal(i, syscall.SIGTERM) // to save and end, with a coordinator or without
	}
	impatience := time.AfterFunc(orphanage, cluster.KillAll)
	defer impatience.Stop()
	defer context.AfterFunc(ctx, cluster.KillAll)()
	exits := cluster.Wait()
	if hung := new(exitError); errors.As(cause, &hung) {
		return hung
	}
	for _, exit := range exits { // the coordinator's is the first
		if exit.Code == exitOK {
			continue
		}
		code := exit.Code
		if code > 128 { // ended by a signal
			code = exitQuorum
		}
		return &exitError{code, fmt.Errorf("the simulated cluster broke down, %s goes on from its newest checkpoint: %w", s.goOn, &exit)}
	}
	return fmt.Errorf("the simulated cluster broke down: %w", cause)
}

// follow shows the run's events until it is done. When ctx ends it asks the
// coordinator to stop.
func (s *simCluster) follow(ctx context.Context, cluster *launch.Cluster, us trust.Trust, printer console.Printer) (*pb.Done, error) {
	client, hangUp, err := dialCoordinator(cluster.Address(), us)
	if err != nil {
		return nil, err
	}
	defer hangUp()
	following, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	reachable, ended := context.WithCancelCause(following) // until no coordinator will answer any more
	defer ended(nil)
	beginning := &beginning{Printer: printer}
	go s.cancelAfterCrash(cluster, &beginning.begun, cancel, ended)
	defer context.AfterFunc(ctx, func() {
		if err := s.stop(reachable, client); err != nil && reachable.Err() == nil {
			cancel(err)
		}
	})()
	done, err := followRun(following, client, beginning, absence{fromStart: true, begin: func() (context.Context, context.CancelFunc) {
		return reachable, func() {}
	}})
	if err != nil && following.Err() != nil {
		err = context.Cause(following)
	}
	return done, err
}

// stop asks the coordinator to stop the run, again and again for as long as it is
// reachable: one that has answered may hang before it has ended. It fails if no answer
// comes.
func (s *simCluster) stop(reachable context.Context, client pb.CoordinatorClient) error {
	for {
		ctx, cancel := context.WithTimeoutCause(reachable, patience, &exitError{exitQuorum,
			fmt.Errorf("the coordinator did not answer within %s when it was asked to stop; all is killed, and %s goes on from the newest checkpoint", patience, s.goOn)})
		err := stopRun(ctx, client)
		cancel()
		if err != nil || !pause.For(reachable, time.Second) {
			return err
		}
	}
}

// beginning is a printer that notes whether the run has begun.
type beginning struct {
	console.Printer
	begun atomic.Bool
}

func (b *beginning) Event(e *pb.RunEvent) {
	if e.GetStarted() != nil {
		b.begun.Store(true)
	}
	b.Printer.Event(e)
}

// cancelAfterCrash gives up on a cluster of which a process has crashed, unless the
// end of the run is told soon after. A run that can lose nodes is in the
// coordinator's hands for as long as there is one; once it has ended for good, nobody
// waits for it. Nor does anybody for a node that cannot take part, before the run has
// begun: nobody starts another in its place here.
func (s *simCluster) cancelAfterCrash(cluster *launch.Cluster, begun *atomic.Bool, cancel, ended context.CancelCauseFunc) {
	elastic := s.minimum > 0 && s.minimum < s.nodes
	for exit := range cluster.Exits() {
		coordinator := exit.Process == "coordinator"
		if coordinator {
			ended(&exit)
		}
		switch {
		case !coordinator && exit.Code == exitUsage && !begun.Load():
			time.AfterFunc(goodbye, func() { cancel(&exit) })
		case coordinator || exit.Code != 0 && !elastic:
			time.AfterFunc(patience, func() { cancel(&exit) })
		}
	}
}

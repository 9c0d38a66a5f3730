package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"parallax/internal/config"
	"parallax/internal/console"
	"parallax/launch"
	pb "parallax/proto/parallax/v1"
	"parallax/record"
	"parallax/shard/corpus"
)

// simFlags are how a simulated cluster is run.
type simFlags struct {
	spec    specFlags
	nodes   int
	threads int
	steps   int
	data    string
	dir     string
	cache   string
	name    string
	resume  bool
	json    bool
}

func simCommand() *cobra.Command {
	f := simFlags{spec: specFlags{fallback: "sim"}}
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "Train on a simulated cluster: real processes on this machine",
		Long: `sim starts a coordinator and some nodes as processes on loopback, forms the gossip
cluster and the ring, trains, validates, and leaves a checkpoint and a record.

Ctrl-C stops it after the step under way, with a checkpoint; --resume goes on from
there, with the same settings. Press it twice to end at once.`,
		Example: `  parallax sim
  parallax sim --nodes 2 --steps 100 --data my-text/
  parallax sim --set model.mixer=softmax --set optimizer.lr=0.01
  parallax sim --config run.toml --json | jq -c 'select(.event == "step") | {step, loss}'
  parallax sim --resume`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.spec.add(cmd)
	flags := cmd.Flags()
	flags.IntVarP(&f.nodes, "nodes", "n", 4, "number of nodes")
	flags.IntVar(&f.threads, "threads", 0, "threads of each node (default: this machine's cores shared out)")
	flags.IntVar(&f.steps, "steps", 0, "steps to train (default: as configured)")
	flags.StringVar(&f.data, "data", "", "text file, folder or token file (default: the Go installation's source)")
	flags.StringVar(&f.dir, "dir", "runs", "folder of all runs and their ledger")
	flags.StringVar(&f.cache, "cache", "", "folder of token files (default: the user's cache folder)")
	flags.StringVar(&f.name, "name", "", "name of the run, for people")
	flags.BoolVar(&f.resume, "resume", false, "go on with the newest run of these settings")
	flags.BoolVar(&f.json, "json", false, "print one JSON object per event")
	return cmd
}

func (f *simFlags) run(cmd *cobra.Command) error {
	if f.nodes < 1 {
		return usageError("--nodes %d: a cluster has at least one node", f.nodes)
	}
	spec, err := f.loadSpec(cmd)
	if err != nil {
		return err
	}
	run, err := f.findRun(spec, !f.given(cmd))
	if err != nil {
		return err
	}
	// Once, here, so that the nodes find it in the cache.
	if err := warmCache(cmd, corpus.Request{Path: run.spec.Data.Path, Tokenizer: run.spec.Data.Tokenizer, CacheDir: f.cache}); err != nil {
		return err
	}
	return f.train(cmd.Context(), run)
}

// given says whether any setting of the run was.
func (f *simFlags) given(cmd *cobra.Command) bool {
	for _, flag := range []string{"preset", "config", "set", "steps", "data"} {
		if cmd.Flags().Changed(flag) {
			return true
		}
	}
	return false
}

func (f *simFlags) loadSpec(cmd *cobra.Command) (config.Spec, error) {
	var more []string
	if cmd.Flags().Changed("steps") {
		more = append(more, fmt.Sprintf("train.steps=%d", f.steps))
	}
	if cmd.Flags().Changed("data") {
		path, err := filepath.Abs(f.data)
		if err != nil {
			return config.Spec{}, err
		}
		more = append(more, "data.path="+path)
	}
	loaded, err := f.spec.load(more...)
	if err != nil {
		return config.Spec{}, err
	}
	return loaded.Spec, nil
}

// train starts the cluster, shows its events, and says how it ended.
func (f *simFlags) train(ctx context.Context, run simRun) error {
	cluster, err := f.start(ctx, run)
	if err != nil {
		return err
	}
	done, err := f.follow(ctx, cluster)
	if err != nil {
		return brokeDown(cluster, err)
	}
	f.end(cluster)
	if !f.json {
		f.explain(run, done)
	}
	return exitWith(int(done.ExitCode))
}

func (f *simFlags) start(ctx context.Context, run simRun) (*launch.Cluster, error) {
	threads := f.threads
	if threads == 0 {
		threads = max(1, runtime.GOMAXPROCS(0)/f.nodes)
	}
	return launch.Local{
		Nodes: f.nodes, Threads: threads, Dir: run.dir, Spec: run.specFile(), Resume: f.resume,
		CoordinatorArgs: []string{"--run-id", run.id, "--name", f.name},
		NodeArgs:        []string{"--cache", f.cache},
	}.Start(ctx)
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
func (f *simFlags) end(cluster *launch.Cluster) {
	hanging := time.AfterFunc(goodbye, func() {
		for i := range f.nodes {
			_ = cluster.Kill(i)
		}
	})
	defer hanging.Stop()
	ending, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_ = cluster.Stop(ending) // whatever is left is killed
}

// brokeDown waits until a cluster whose end nobody has told has ended, and says
// which process was at fault.
func brokeDown(cluster *launch.Cluster, cause error) error {
	impatience := time.AfterFunc(orphanage, cluster.KillAll)
	defer impatience.Stop()
	for _, exit := range cluster.Wait() { // the coordinator's is the first
		if exit.Code == exitOK {
			continue
		}
		code := exit.Code
		if code > 128 { // ended by a signal
			code = exitQuorum
		}
		return &exitError{code, fmt.Errorf("the simulated cluster broke down, --resume goes on from its newest checkpoint: %w", &exit)}
	}
	return fmt.Errorf("the simulated cluster broke down: %w", cause)
}

// follow shows the run's events until it is done. When ctx ends it asks the
// coordinator to stop, once.
func (f *simFlags) follow(ctx context.Context, cluster *launch.Cluster) (*pb.Done, error) {
	client, hangUp, err := dialCoordinator(cluster.Address())
	if err != nil {
		return nil, err
	}
	defer hangUp()
	following, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	go cancelAfterCrash(cluster, cancel)
	defer context.AfterFunc(ctx, func() {
		_, _ = client.Stop(following, &pb.StopRequest{Reason: "interrupted"})
	})()
	done, err := followRun(following, client, console.New(os.Stdout, f.json))
	if following.Err() != nil {
		err = context.Cause(following)
	}
	return done, err
}

// cancelAfterCrash gives up on a cluster of which a process has crashed, unless
// its coordinator has ended the run soon after.
func cancelAfterCrash(cluster *launch.Cluster, cancel context.CancelCauseFunc) {
	for exit := range cluster.Exits() {
		if exit.Code != 0 {
			time.AfterFunc(patience, func() { cancel(&exit) })
		}
	}
}

func (f *simFlags) explain(run simRun, done *pb.Done) {
	fmt.Printf("\nresults     %s\n", run.dir)
	if done.Checkpoint != "" {
		fmt.Printf("checkpoint  %s\n", done.Checkpoint)
	}
	fmt.Printf("record      %s\n", filepath.Join(f.dir, "ledger.db"))
	fmt.Println("\ntry next")
	dirFlag, ledgerFlag := "", ""
	if f.dir != "runs" {
		dirFlag, ledgerFlag = " --dir "+f.dir, " --ledger "+filepath.Join(f.dir, "ledger.db")
	}
	if int(done.Step) < run.spec.Train.Steps {
		fmt.Printf("  parallax sim%s --resume\n", dirFlag)
	}
	if done.Checkpoint != "" {
		fmt.Printf("  parallax sample --checkpoint %s --prompt 'func '\n", done.Checkpoint)
	}
	fmt.Printf("  parallax runs%s show %s\n", ledgerFlag, run.id)
	if run.spec.Model.Mixer == "parallax" {
		fmt.Printf("  parallax sim%s --set model.mixer=softmax\n", dirFlag)
	}
}

// simRun is a run's folder: its id, its settings.
type simRun struct {
	id   string
	dir  string
	spec config.Spec
}

func (r simRun) specFile() string { return filepath.Join(r.dir, "spec.toml") }

var errNoRun = errors.New("there is no run to go on with")

// findRun makes a new run's folder, or finds the one to resume: the newest of
// these settings, or, when no settings are given, the newest.
func (f *simFlags) findRun(spec config.Spec, anySettings bool) (simRun, error) {
	dir, err := filepath.Abs(f.dir)
	if err != nil {
		return simRun{}, err
	}
	if f.resume {
		return resumable(dir, spec, anySettings)
	}
	run := simRun{id: record.NewRunID(time.Now()), spec: spec}
	run.dir = filepath.Join(dir, run.id)
	if err := os.MkdirAll(run.dir, 0o755); err != nil {
		return simRun{}, usageError("the run's folder cannot be made: %w", err)
	}
	return run, os.WriteFile(run.specFile(), config.Canonical(spec), 0o644)
}

func resumable(dir string, spec config.Spec, anySettings bool) (simRun, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*", "spec.toml"))
	if err != nil || len(files) == 0 {
		return simRun{}, usageError("%w in %s: leave --resume out to begin one", errNoRun, dir)
	}
	var newest *simRun
	for i := len(files) - 1; i >= 0; i-- { // ids sort by time
		run := simRun{id: filepath.Base(filepath.Dir(files[i])), dir: filepath.Dir(files[i])}
		text, err := os.ReadFile(files[i])
		if err != nil {
			return simRun{}, err
		}
		if run.spec, err = config.Parse(text); err != nil {
			continue // of another version
		}
		if anySettings || config.Hash(run.spec) == config.Hash(spec) {
			return run, nil
		}
		if newest == nil {
			newest = &run
		}
	}
	if newest == nil {
		return simRun{}, usageError("%w in %s that this version can read", errNoRun, dir)
	}
	return simRun{}, usageError("%w with these settings; the newest, %s, differs: %v", errNoRun, newest.id, config.Diff(newest.spec, spec)[0])
}

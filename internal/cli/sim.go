package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"parallax/internal/config"
	"parallax/internal/console"
	pb "parallax/proto/parallax/v1"
)

// simFlags are how a simulated cluster is run.
type simFlags struct {
	spec    specFlags
	cluster simCluster
	steps   int
	data    string
	dir     string
	json    bool
	again   string // flags of the cluster, which are no settings of the run
}

func simCommand() *cobra.Command {
	f := simFlags{spec: specFlags{fallback: "sim"}, cluster: simCluster{goOn: "--resume"}}
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "Train on a simulated cluster: real processes on this machine",
		Long: `sim starts a coordinator and some nodes as processes on loopback, forms the gossip
cluster and the ring, trains, validates, and leaves a checkpoint and a record.

Ctrl-C stops it after the step under way, with a checkpoint; --resume goes on from
there, with the same settings, on as many nodes as --nodes says now. Press it twice to
end at once.`,
		Example: `  parallax sim
  parallax sim --nodes 2 --steps 100 --data my-text/
  parallax sim --nodes 4 --min-nodes 1     # kill some of its processes and watch
  parallax sim --set model.mixer=softmax --set optimizer.lr=0.01
  parallax sim --config run.toml --json | jq -c 'select(.event == "step") | {step, loss}'
  parallax sim --resume`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.spec.add(cmd)
	flags := cmd.Flags()
	f.cluster.add(flags, 4)
	flags.IntVar(&f.steps, "steps", 0, "steps to train (default: as configured)")
	addData(flags, &f.data)
	addRunsDir(flags, &f.dir)
	addRunName(flags, &f.cluster.name)
	flags.BoolVar(&f.cluster.resume, "resume", false, "go on with the newest run of these settings")
	addEventsJSON(flags, &f.json)
	return cmd
}

func (f *simFlags) run(cmd *cobra.Command) error {
	if err := f.cluster.check(); err != nil {
		return err
	}
	spec, err := f.loadSpec(cmd)
	if err != nil {
		return err
	}
	f.again = clusterFlags(cmd.Flags())
	run, err := f.findRun(cmd, spec)
	if err != nil {
		return err
	}
	return f.train(cmd.Context(), run)
}

// clusterFlags are those flags of the cluster that were given, to be typed again.
func clusterFlags(flags *pflag.FlagSet) string {
	var again strings.Builder
	for _, name := range []string{"nodes", "min-nodes", "device", "threads", "tls"} {
		if flag := flags.Lookup(name); flag.Changed {
			fmt.Fprintf(&again, " --%s=%s", name, flag.Value)
		}
	}
	return again.String()
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
	var more []config.Flag
	if cmd.Flags().Changed("steps") {
		more = append(more, config.Flag{Name: "--steps", Key: "train.steps", Value: strconv.Itoa(f.steps)})
	}
	if cmd.Flags().Changed("data") {
		path, err := filepath.Abs(f.data)
		if err != nil {
			return config.Spec{}, err
		}
		more = append(more, config.Flag{Name: "--data", Key: "data.path", Value: path})
	}
	loaded, err := f.spec.load(more...)
	if err != nil {
		return config.Spec{}, err
	}
	return loaded.Spec, nil
}

// train runs the cluster and says how it ended.
func (f *simFlags) train(ctx context.Context, run simRun) error {
	printer := &stepCounter{Printer: console.New(os.Stdout, f.json)}
	done, err := f.cluster.train(ctx, run, printer)
	if err != nil {
		return err
	}
	if f.cluster.resume && !f.json && printer.steps == 0 && int(done.Step) >= run.spec.Train.Steps {
		fmt.Printf("\nrun %s was complete before: its %d steps had been trained, so nothing was left to do\n", run.id, done.Step)
	}
	if !f.json && done.ExitCode != exitUsage { // then the reason says what to try
		f.explain(run, done)
	}
	return exitWith(int(done.ExitCode))
}

// stepCounter counts the steps that are printed.
type stepCounter struct {
	console.Printer
	steps int
}

func (c *stepCounter) Event(e *pb.RunEvent) {
	if e.GetStep() != nil {
		c.steps++
	}
	c.Printer.Event(e)
}

// explain says where the results lie and, behind a run that went well, what could be
// typed next.
func (f *simFlags) explain(run simRun, done *pb.Done) {
	checkpoint := shown(done.Checkpoint)
	fmt.Printf("\nresults     %s\n", shown(run.dir))
	if checkpoint != "" {
		fmt.Printf("checkpoint  %s\n", checkpoint)
	}
	fmt.Printf("record      %s\n", filepath.Join(f.dir, "ledger.db"))
	if done.ExitCode != exitOK { // the reason says what to try
		return
	}
	fmt.Println("\ntry next")
	program, dirFlag, ledgerFlag := spelled(), "", ""
	if f.dir != "runs" {
		dirFlag, ledgerFlag = " --dir "+f.dir, " --ledger "+filepath.Join(f.dir, "ledger.db")
	}
	complete := int(done.Step) >= run.spec.Train.Steps
	if !complete {
		fmt.Printf("  %s sim%s%s --resume\n", program, dirFlag, f.again)
	}
	if checkpoint != "" && run.spec.Data.Task == "none" {
		fmt.Printf("  %s sample --checkpoint %s --prompt '%s'\n", program, checkpoint, prompt(run))
	}
	fmt.Printf("  %s runs%s show %s\n", program, ledgerFlag, run.id)
	if complete && run.spec.Model.Mixer == "parallax" {
		fmt.Printf("  %s sim%s --config %s --set model.mixer=softmax\n", program, dirFlag, shown(run.specFile()))
	}
}

// prompt begins a text of the kind that was trained on.
func prompt(run simRun) string {
	if run.spec.Data.Path == "" {
		return "func "
	}
	return "The "
}

// shown is a path as a person likes it: from here, where that is shorter.
func shown(path string) string {
	here, err := os.Getwd()
	if err != nil || path == "" {
		return path
	}
	if rel, err := filepath.Rel(here, path); err == nil && len(rel) < len(path) {
		return rel
	}
	return path
}

// findRun makes a new run's folder, or finds the one to resume: the newest of
// these settings, or, when no settings are given, the newest. A run that the
// cluster would refuse is refused before anything is written.
func (f *simFlags) findRun(cmd *cobra.Command, spec config.Spec) (simRun, error) {
	dir, err := filepath.Abs(f.dir)
	if err != nil {
		return simRun{}, err
	}
	if f.cluster.resume {
		run, err := resumable(dir, spec, !f.given(cmd))
		if err != nil {
			return simRun{}, err
		}
		fmt.Fprintf(os.Stderr, "going on with run %s\n", run.id)
		return run, f.cluster.checkRun(cmd, run.spec)
	}
	if err := f.cluster.checkRun(cmd, spec); err != nil {
		return simRun{}, err
	}
	return newRun(dir, spec)
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"parallax/internal/config"
)

// chaosFlags are how a fire drill is held.
type chaosFlags struct {
	sim    simFlags
	seed   uint64
	faults []string
	count  int
	every  int
	keep   bool
}

func chaosCommand() *cobra.Command {
	f := chaosFlags{sim: simFlags{spec: specFlags{fallback: "sim"}, cluster: simCluster{goOn: "parallax sim --resume", minimum: 1}}}
	cmd := &cobra.Command{
		Use:   "chaos",
		Short: "Hold a fire drill: break a simulated cluster again and again, and prove that nothing is lost",
		Long: `chaos trains on a simulated cluster of real processes and breaks it at moments that a
seed decides: it kills nodes (kill -9), stops them (SIGSTOP), asks them to leave
(SIGTERM), and kills the coordinator. Each is started again, and nodes are taken in again.
For every failure it says how long it took from the signal until the next step was told,
what was lost, and how long the node needed to be back. While the coordinator is away
training goes on, and its steps are told when it is back.

Before, it trains the same run on one node that nobody disturbs, or finds it in the
ledger of --dir. It exits with 0 only if all losses and the final state are the same
bits, and each step is recorded once; otherwise with 1, and leaves everything where it is.
Interrupted, it exits with 75: nothing is proven, and the next drill begins anew.

How soon a stopped process is missed is decided by PARALLAX_FAILURE_TIMEOUT.`,
		Example: `  parallax chaos
  parallax chaos --nodes 3 --seed 7 --faults kill --count 20
  parallax chaos --dir drills --json | jq -c 'select(.event == "failure")'
  PARALLAX_FAILURE_TIMEOUT=1s parallax chaos --faults stop --count 10`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.add(cmd)
	return cmd
}

// stepsPerFault is how many steps a failure and the return of the node are given,
// where no settings are.
const stepsPerFault = 25

func (f *chaosFlags) add(cmd *cobra.Command) {
	f.sim.spec.add(cmd)
	flags := cmd.Flags()
	f.sim.cluster.addProcesses(flags, 4)
	flags.IntVar(&f.sim.steps, "steps", 0, fmt.Sprintf("steps to train (default: as configured, or %d for each failure)", stepsPerFault))
	addData(flags, &f.sim.data)
	flags.Uint64Var(&f.seed, "seed", 1, "decides what fails when")
	flags.StringSliceVar(&f.faults, "faults", faultKinds, "`kinds` of failures, one after the other: "+strings.Join(faultKinds, ", "))
	flags.IntVar(&f.count, "count", 6, "number of failures")
	flags.IntVar(&f.every, "every", 8, "a failure comes 1 to so many steps after the cluster is whole again")
	flags.StringVar(&f.sim.dir, "dir", "", "`folder` of runs and their ledger (default: a temporary one)")
	flags.BoolVar(&f.keep, "keep", false, "keep the temporary folder")
	flags.BoolVar(&f.sim.json, "json", false, "print one JSON object per failure, and one for the verdict")
}

func (f *chaosFlags) run(cmd *cobra.Command) error {
	if err := f.check(); err != nil {
		return err
	}
	spec, err := f.loadSpec(cmd)
	if err != nil {
		return err
	}
	if err := f.sim.cluster.checkRun(cmd, spec); err != nil {
		return err
	}
	remove, err := f.place()
	if err != nil {
		return err
	}
	report := newChaosReport(cmd.OutOrStdout(), f.sim.json)
	equal, err := f.drill(cmd.Context(), spec, report)
	switch {
	case errors.Is(err, errDrillStopped) || errors.Is(err, context.Canceled): // the latter before the processes listen
		return errors.Join(errDrillStopped, remove())
	case err != nil:
		fmt.Fprintf(os.Stderr, "what was made is kept in %s\n", f.sim.dir)
		return err
	case !equal:
		fmt.Fprintf(os.Stderr, "both runs are kept in %s\n", f.sim.dir)
		return exitWith(exitFailed)
	}
	return remove()
}

// errDrillStopped ends a drill that was interrupted.
var errDrillStopped = &exitError{exitRequeue, errors.New("the drill was interrupted before its verdict, so that nothing is proven; to begin anew, run it again")}

func (f *chaosFlags) check() error {
	if f.sim.cluster.nodes < 2 {
		return usageError("--nodes %d: a drill needs at least two nodes, so that one is left", f.sim.cluster.nodes)
	}
	if f.count < 1 || f.every < 1 {
		return usageError("--count is %d and --every %d; both must be 1 or more", f.count, f.every)
	}
	for _, kind := range f.faults {
		if !slices.Contains(faultKinds, kind) {
			return usageError("--faults has no kind %q; there are %s", kind, strings.Join(faultKinds, ", "))
		}
	}
	return nil
}

// loadSpec is the run's, by default with steps for all failures.
func (f *chaosFlags) loadSpec(cmd *cobra.Command) (config.Spec, error) {
	flags := cmd.Flags()
	if f.sim.steps == 0 && !flags.Changed("preset") && !flags.Changed("config") && !flags.Changed("set") {
		if err := flags.Set("steps", fmt.Sprint(stepsPerFault*f.count)); err != nil {
			return config.Spec{}, err
		}
	}
	spec, err := f.sim.loadSpec(cmd)
	if err == nil && spec.Train.Reduction != "sum-exact" {
		return spec, usageError("train.reduction is %q: only with sum-exact do the bits not depend on which nodes are left, so only that can be held against an undisturbed run", spec.Train.Reduction)
	}
	return spec, err
}

// place makes the folder of the runs, and says what becomes of it at a good end, or when the
// drill is interrupted.
func (f *chaosFlags) place() (remove func() error, err error) {
	if f.sim.dir != "" {
		f.sim.dir, err = filepath.Abs(f.sim.dir)
		return func() error { return nil }, err
	}
	if f.sim.dir, err = os.MkdirTemp("", "parallax-chaos-"); err != nil {
		return nil, err
	}
	if f.keep {
		fmt.Fprintf(os.Stderr, "everything is kept in %s\n", f.sim.dir)
		return func() error { return nil }, nil
	}
	return func() error { return os.RemoveAll(f.sim.dir) }, nil
}

// drill makes both runs, and holds them against each other.
func (f *chaosFlags) drill(ctx context.Context, spec config.Spec, report *chaosReport) (equal bool, err error) {
	want, err := f.undisturbed(ctx, spec)
	if err != nil {
		return false, err
	}
	run, err := newRun(f.sim.dir, spec)
	if err != nil {
		return false, err
	}
	d := newDrill(f, report)
	if err := d.hold(ctx, run); err != nil {
		return false, err
	}
	got, err := f.outcome(run)
	if err != nil {
		return false, err
	}
	return report.verdict(d.strikes, f.count, got.differs(want), want.state), nil
}

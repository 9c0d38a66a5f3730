package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"parallax/internal/compare"
	"parallax/internal/config"
	"parallax/internal/train"
	"parallax/kernels"
	"parallax/model"
)

// compareFlags are what is compared, and how it is trained.
type compareFlags struct {
	spec       specFlags
	cluster    simCluster
	data       string
	arms       []string
	optimizers []string
	seeds      int
	steps      int
	budget     string
	dir, out   string
	json       bool
}

func compareCommand() *cobra.Command {
	f := compareFlags{spec: specFlags{fallback: "quick"}, cluster: simCluster{goOn: "the same command"}}
	cmd := &cobra.Command{
		Use:   "compare",
		Short: "Train Parallax and its matched controls, and say which is better at equal cost",
		Long: `compare derives controls from a Parallax configuration, trains every arm with several
seeds on a simulated cluster, one run after the other, and compares the losses at equal
tokens, equal model FLOPs and equal seconds. The arms are

  parallax        the model as configured
  softmax         the same shape without W_R
  softmax+params  softmax attention with as many parameters
  softmax+flops   softmax attention with as many FLOPs per token
  parallax-half   Parallax with heads of half the size and as many parameters

The first arm is the one that the others are held against. --budget says in what the
arms are equal when they end: for a schedule with a falling rate, only losses along that
axis can be compared fairly.

Runs that the ledger has already are not made again, and interrupted ones are resumed:
after Ctrl-C the same command goes on.`,
		Example: `  parallax compare
  parallax compare --data my-text/ --seeds 5
  parallax compare --config run.toml --arms parallax,softmax+flops --budget flops
  parallax compare --optimizer muon,adamw --arms parallax,softmax
  parallax compare --json | jq -r '.verdicts[].sentence'`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.spec.add(cmd)
	flags := cmd.Flags()
	f.cluster.add(flags, 2)
	addData(flags, &f.data)
	flags.StringSliceVar(&f.arms, "arms", model.Controls(), "`arms` to compare, the first with the others")
	flags.StringSliceVar(&f.optimizers, "optimizer", nil, "`optimizers` to cross the arms with: muon, adamw (default: as configured)")
	flags.IntVar(&f.steps, "steps", 0, "steps that the first arm trains (default: as configured)")
	flags.IntVar(&f.seeds, "seeds", 3, "runs of every arm")
	flags.StringVar(&f.budget, "budget", string(compare.EqualTokens), "`what` the arms are trained to an equal amount of: tokens, flops or seconds")
	addRunsDir(flags, &f.dir)
	flags.StringVarP(&f.out, "out", "o", "", "`folder` for the report and the plots (default: compare-... in --dir)")
	flags.BoolVar(&f.json, "json", false, "print the report as one JSON object")
	return cmd
}

func (f *compareFlags) run(cmd *cobra.Command) error {
	arms, budget, err := f.derive(cmd)
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(f.dir)
	if err != nil {
		return err
	}
	if err := f.cluster.checkRun(cmd, arms[0].Spec); err != nil {
		return err
	}
	peak, err := hostPeak(f.cluster)
	if err != nil {
		return err
	}
	bench := &armsBench{cluster: f.cluster, dir: dir, out: os.Stderr}
	trained, err := bench.trainAll(cmd.Context(), arms, budget, f.seeds)
	if err != nil {
		return err
	}
	report, err := compare.Judge(arms, budget, trained, peak)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	if f.out == "" {
		f.out = filepath.Join(f.dir, "compare-"+compare.Key(compare.Runs(arms, f.seeds)))
	}
	return f.show(cmd, report)
}

// derive makes the arms from the settings.
func (f *compareFlags) derive(cmd *cobra.Command) ([]compare.Arm, compare.Budget, error) {
	budget, err := compare.ParseBudget(f.budget)
	switch {
	case err != nil:
		return nil, "", usageError("--%w", err)
	case f.seeds < 1:
		return nil, "", usageError("--seeds %d: every arm needs at least one run", f.seeds)
	}
	if err := f.cluster.check(); err != nil {
		return nil, "", err
	}
	spec, m, err := f.loadModel(cmd)
	if err != nil {
		return nil, "", err
	}
	if len(f.optimizers) == 0 {
		f.optimizers = []string{spec.Optimizer.Name}
	}
	arms, err := compare.Derive(spec, m, f.arms, f.optimizers)
	if err != nil {
		return nil, "", &exitError{exitUsage, err}
	}
	return arms, budget, nil
}

func (f *compareFlags) loadModel(cmd *cobra.Command) (config.Spec, model.Config, error) {
	var more []config.Flag
	if cmd.Flags().Changed("data") {
		path, err := filepath.Abs(f.data)
		if err != nil {
			return config.Spec{}, model.Config{}, err
		}
		more = append(more, config.Flag{Name: "--data", Key: "data.path", Value: path})
	}
	if cmd.Flags().Changed("steps") {
		more = append(more, config.Flag{Name: "--steps", Key: "train.steps", Value: strconv.Itoa(f.steps)})
	}
	loaded, err := f.spec.load(more...)
	if err != nil {
		return config.Spec{}, model.Config{}, err
	}
	m, err := modelOf(loaded.Spec)
	return loaded.Spec, m, err
}

// modelOf is the model of a spec, with the vocabulary of its data.
func modelOf(s config.Spec) (model.Config, error) {
	m, err := train.ModelOf(s)
	if err != nil {
		return model.Config{}, &exitError{exitUsage, err}
	}
	return m, nil
}

// hostPeak measures what all threads of the cluster reach together, or its GPUs.
func hostPeak(c simCluster) (sum float64, err error) {
	used := c.devices[:min(c.nodes, len(c.devices))]
	for i, device := range used {
		if slices.Contains(used[:i], device) {
			continue
		}
		peak, err := devicePeak(device, c.threads*c.nodes)
		if err != nil {
			return 0, err
		}
		sum += peak
	}
	return sum, nil
}

func devicePeak(device string, threads int) (float64, error) {
	be, err := kernels.Open(device, kernels.Options{Threads: threads})
	if err != nil {
		return 0, &exitError{exitUsage, err}
	}
	defer be.Close()
	return kernels.MatMulRate(be, time.Second/2)
}

// show prints the report, and writes it with its plots.
func (f *compareFlags) show(cmd *cobra.Command, r *compare.Report) error {
	if err := os.MkdirAll(f.out, 0o755); err != nil {
		return usageError("the report's folder cannot be made: %w", err)
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(f.out, "report.json"), append(text, '\n'), 0o644); err != nil {
		return err
	}
	if err := drawCurves(f.out, r); err != nil {
		return err
	}
	if f.json {
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n", text)
		return err
	}
	if err := printReport(cmd.OutOrStdout(), r); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "\nreport  %s\n", filepath.Join(f.out, "report.json"))
	if err == nil {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "plots   %s\n", strings.Join(curveFiles(f.out), ", "))
	}
	return err
}

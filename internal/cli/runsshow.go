package cli

import (
	"fmt"
	"math"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"parallax/internal/compare"
	"parallax/record"
)

func runsShowCommand(ledger *string) *cobra.Command {
	var against string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show [RUN]",
		Short: "Show one run: what, where, how far, its layers, and every event (default: the newest)",
		Example: `  parallax runs show
  parallax runs show 20261123-1949
  parallax runs show 20261123-1949 --against baseline
  parallax runs show --json | jq -r '.events[].text'`,
		Args: atMostOne("a run"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if asJSON && against != "" {
				return usageError("--against %s is for people, not for --json: parallax compare says the same in JSON", against)
			}
			return withLedger(*ledger, func(l *record.Ledger) error { return showRun(cmd, l, runArg(args), against, asJSON) })
		},
	}
	cmd.Flags().StringVar(&against, "against", "", "another `run` to hold its compute-matched throughput against")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func runArg(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// runTable writes a run, name by name.
type runTable struct {
	*tabwriter.Writer
	ledger *record.Ledger
	run    record.Run
}

func (t runTable) row(name, format string, args ...any) {
	fmt.Fprintf(t, name+"\t"+format+"\n", args...)
}

func showRun(cmd *cobra.Command, l *record.Ledger, ref, against string, asJSON bool) error {
	r, err := l.Run(ref)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	if asJSON {
		return showRunJSON(cmd.OutOrStdout(), l, r)
	}
	t := runTable{tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0), l, r}
	t.showWhat()
	for _, show := range []func() error{t.showCourse, func() error { return t.showAgainst(against) }, t.showRanks, t.showLayers, t.showEvents} {
		if err := show(); err != nil {
			return err
		}
	}
	return t.Flush()
}

func (t runTable) showWhat() {
	r := t.run
	t.row("run", "%s %s", r.ID, r.Name)
	t.row("status", "%s %s", statusOf(r), r.Reason)
	t.row("folder", "%s", r.Dir)
	t.row("spec", "%s", r.SpecHash)
	t.row("program", "%s", r.Versions)
	t.row("data", "%s", r.DataSummary)
	t.row("parameters", "%d", r.Parameters)
	t.row("FLOPs/token", "%.4g model, %.4g by 6N+12LHDT", r.FLOPsPerToken, r.FLOPsPerToken6N)
}

// showCourse tells how far the run is, how fast, and what it learns in that.
func (t runTable) showCourse() error {
	s, err := summarize(t.ledger, t.run)
	if err != nil {
		return err
	}
	t.row("steps", "%d", s.steps)
	t.row("loss", "%s training, %s validation", decimals(s.loss, 4), decimals(s.validation, 4))
	t.row("tokens/s", "%s", decimals(s.tokensPerSecond, 0))
	c, err := curveOf(t.ledger, t.run.ID)
	if err != nil || len(c.Training) < 2 { // nothing has been learned yet, or steps lack
		return nil
	}
	end := c.End()
	rate := end.FLOPs / end.Seconds
	peak, err := t.peak()
	if err != nil {
		return err
	}
	share := ""
	if peak > 0 {
		share = fmt.Sprintf(", %.0f %% of the %.4g that its devices reached in matrix products when they started", 100*rate/peak, peak/1e9)
	}
	t.row("GFLOP/s", "%.4g%s", rate/1e9, share)
	t.row("progress", "the loss fell by %.4g nats per PFLOP and %.4g per minute of steps",
		1e15*c.Progress(c.Training, compare.FLOPs, end.FLOPs), 60*c.Progress(c.Training, compare.Seconds, end.Seconds))
	return nil
}

func curveOf(l *record.Ledger, id string) (compare.Curve, error) {
	steps, err := l.Steps(id)
	if err != nil {
		return compare.Curve{}, err
	}
	evals, err := l.Evals(id)
	if err != nil {
		return compare.Curve{}, err
	}
	c, err := compare.NewCurve(steps, evals)
	if err != nil {
		err = fmt.Errorf("run %s: %w", id, err)
	}
	return c, err
}

// peak is what the devices of the last view reach together; 0 if any is unknown.
func (t runTable) peak() (float64, error) {
	ranks, err := t.ledger.Ranks(t.run.ID)
	sum := 0.0
	for _, k := range ranks {
		if k.Generation != ranks[len(ranks)-1].Generation {
			continue
		}
		if k.Peak == 0 {
			return 0, err
		}
		sum += k.Peak
	}
	return sum, err
}

// showAgainst holds the run against another at equal cost.
func (t runTable) showAgainst(ref string) error {
	if ref == "" {
		return nil
	}
	control, err := t.ledger.Run(ref)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	var curves [2]compare.Curve
	for i, id := range []string{t.run.ID, control.ID} {
		if curves[i], err = curveOf(t.ledger, id); err != nil {
			return &exitError{exitUsage, err}
		}
		if len(curves[i].Training) < 2 {
			return usageError("run %s has made less than two steps: there is no progress to hold against another's", id)
		}
	}
	p, budgets := compare.Pair(curves[0], curves[1])
	t.row("against", "%s %s: %s", control.ID, control.Name, matched(p, budgets))
	return nil
}

func matched(p compare.Throughput, budgets map[compare.Axis]float64) string {
	text := fmt.Sprintf("%.3f times its tokens/s", p.TokensPerSecond.Mean())
	for _, q := range []struct {
		axis compare.Axis
		of   compare.Stat
		unit string
	}{{compare.FLOPs, p.PerFLOP, "FLOP"}, {compare.Seconds, p.PerSecond, "second"}} {
		if x := q.of.Mean(); math.IsNaN(x) {
			text += fmt.Sprintf("; progress per %s cannot be compared", q.unit)
		} else {
			text += fmt.Sprintf("; %.3f times its loss progress per %s, at equal %s", x, q.unit, q.axis.Describe(budgets[q.axis]))
		}
	}
	return text
}

func (t runTable) showRanks() error {
	ranks, err := t.ledger.Ranks(t.run.ID)
	for _, k := range ranks {
		device := k.Device
		if k.Hardware != "" {
			device += " (" + k.Hardware + ")"
		}
		if k.Peak > 0 {
			device += fmt.Sprintf(", %.4g GFLOP/s", k.Peak/1e9)
		}
		t.row("rank", "%d of generation %d: %s on %s, %s, %d slots", k.Rank, k.Generation, k.Node, k.Host, device, k.Slots)
	}
	return err
}

// showLayers tells the last look into each layer.
func (t runTable) showLayers() error {
	layers, err := t.ledger.Layers(t.run.ID)
	for _, d := range compare.LastLook(layers) {
		t.row("layer", "%d at step %d: correction %s, entropy %s nats, first token %s, stable rank of W_Q %s, W_R %s, W_K %s", d.Layer, d.Step,
			known(d.Correction), known(d.Entropy), known(d.FirstToken), known(d.RankQ), known(d.RankR), known(d.RankK))
	}
	return err
}

// known writes what a layer has with three digits.
func known(x float64) string {
	if math.IsNaN(x) {
		return "-"
	}
	return fmt.Sprintf("%.3g", x)
}

func (t runTable) showEvents() error {
	events, err := t.ledger.Events(t.run.ID)
	for _, e := range events {
		t.row(e.Time.Local().Format(time.TimeOnly), "%s", e.Text)
	}
	return err
}

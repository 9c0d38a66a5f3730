package compare

import (
	"fmt"
	"math"
	"strings"

	"parallax/internal/config"
)

// Difference is the first arm's loss minus another arm's, at an equal amount.
type Difference struct {
	Axis    Axis   `json:"axis"`
	Arm     string `json:"arm"`
	Control string `json:"control"`
	Loss    Stat   `json:"loss"`
	Counts  bool   `json:"counts"` // it is beyond the spread over the seeds
}

// Verdict is what the differences along an axis come to.
type Verdict struct {
	Axis      Axis   `json:"axis"`
	Optimizer string `json:"optimizer"`
	Sentence  string `json:"sentence"`
}

// compareArms holds, with each optimizer, the first arm against the others.
func (r *Report) compareArms() {
	for _, group := range r.byOptimizer() {
		if len(group) < 2 {
			continue
		}
		for _, control := range group[1:] {
			r.Throughput = append(r.Throughput, r.throughput(group[0], control))
		}
		for _, axis := range Axes {
			var clauses []string
			for _, control := range group[1:] {
				d := r.difference(axis, group[0], control)
				r.Against = append(r.Against, d)
				clauses = append(clauses, d.clause())
			}
			r.Verdicts = append(r.Verdicts, Verdict{Axis: axis, Optimizer: group[0].Optimizer, Sentence: fmt.Sprintf("At equal %s (%s) %s's %s is %s (%s).",
				axis.noun(), axis.amount(r.Budgets[axis]), group[0].Label, r.Metric, enumerate(clauses), r.spread())})
		}
	}
}

// byOptimizer groups the arms, in their order.
func (r *Report) byOptimizer() [][]Outcome {
	var groups [][]Outcome
	for _, o := range r.Arms {
		last := len(groups) - 1
		if last < 0 || groups[last][0].Optimizer != o.Optimizer {
			groups = append(groups, nil)
			last++
		}
		groups[last] = append(groups[last], o)
	}
	return groups
}

func (r *Report) difference(a Axis, arm, control Outcome) Difference {
	loss := arm.loss(r, a).Minus(control.loss(r, a))
	return Difference{Axis: a, Arm: arm.Label, Control: control.Label, Loss: loss, Counts: loss.FromZero()}
}

// clause completes "Parallax's loss is ...".
func (d Difference) clause() string {
	mean, deviation := d.Loss.Mean(), d.Loss.Deviation()
	direction := "lower"
	if mean > 0 {
		direction = "higher"
	}
	amount := fmt.Sprintf("%.4f", math.Abs(mean))
	if !math.IsNaN(deviation) {
		amount += fmt.Sprintf(" ± %.4f", deviation)
	}
	switch {
	case math.IsNaN(mean):
		return "not comparable with " + d.Control + "'s"
	case d.Counts, math.IsNaN(deviation):
		return fmt.Sprintf("%s %s than %s's", amount, direction, d.Control)
	default:
		return fmt.Sprintf("no different from %s's beyond the spread (%s %s)", d.Control, amount, direction)
	}
}

func (r *Report) spread() string {
	if r.Seeds == 1 {
		return "1 seed, so nothing is known of the spread"
	}
	return fmt.Sprintf("%d seeds", r.Seeds)
}

func enumerate(clauses []string) string {
	last := len(clauses) - 1
	if last == 0 {
		return clauses[0]
	}
	return strings.Join(clauses[:last], ", ") + " and " + clauses[last]
}

func (a Axis) noun() string {
	if a == FLOPs {
		return "model FLOPs"
	}
	return string(a)
}

// Label names the axis of a plot.
func (a Axis) Label() string {
	if a == Seconds {
		return "seconds of training"
	}
	return a.noun()
}

// Describe writes an amount along the axis with its name.
func (a Axis) Describe(amount float64) string {
	return fmt.Sprintf("%s (%s)", strings.ToUpper(string(a)), a.amount(amount))
}

// amount writes a budget with its unit.
func (a Axis) amount(x float64) string {
	digits, prefix := SI(x)
	switch a {
	case Seconds:
		return fmt.Sprintf("%.1f s", x)
	case FLOPs:
		return digits + " " + prefix + "FLOP"
	default:
		return strings.TrimSpace(digits + " " + prefix)
	}
}

// SI splits a number into three digits and the prefix for its unit.
func SI(x float64) (digits, prefix string) {
	for _, p := range []struct {
		scale  float64
		prefix string
	}{{1e18, "E"}, {1e15, "P"}, {1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if math.Abs(x) >= p.scale {
			return fmt.Sprintf("%.3g", x/p.scale), p.prefix
		}
	}
	return fmt.Sprintf("%.3g", x), ""
}

// notes are what a reader must know before believing the verdicts.
func (r *Report) notes(spec config.Spec) []string {
	var all []string
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	add("every arm has trained to equal %s; the seeds are the same for all, and fix the samples of every step", r.Budget)
	if s := spec.Schedule; s.Name != "constant" {
		add("the learning rate falls at the end of a run (schedule.name is %s), so losses at equal %s are read before the slower arms' fall: for a verdict there use --budget %s, or schedule.name = \"constant\"",
			s.Name, others(r.Budget, " and "), others(r.Budget, " or "))
	}
	if spec.Data.Validation == 0 {
		add("no data is held out (data.validation is 0), so the verdicts are about the training loss")
	}
	add("seconds are of training steps, without evaluations, checkpoints and start-up, on this host as busy as it was; the peak is %.4g GFLOP/s, in matrix products, measured when compare was started",
		r.Peak/1e9)
	if len(r.Code) > 1 {
		add("the runs are of different versions of the program (%s), so their seconds may not compare", strings.Join(r.Code, ", "))
	}
	return all
}

// others lists the budgets that the arms were not made equal in.
func others(b Budget, and string) string {
	var names []string
	for _, o := range []Budget{EqualTokens, EqualFLOPs, EqualSeconds} {
		if o != b {
			names = append(names, string(o))
		}
	}
	return strings.Join(names, and)
}

func versions(trained []Trained) []string {
	var all []string
	seen := map[string]bool{}
	for _, t := range trained {
		if !seen[t.Code] {
			seen[t.Code] = true
			all = append(all, t.Code)
		}
	}
	return all
}

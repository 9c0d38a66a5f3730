package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"parallax/internal/median"
	"parallax/launch"
)

// chaosReport tells of a drill while it is held.
type chaosReport struct {
	out  io.Writer
	json bool
}

func newChaosReport(out io.Writer, json bool) *chaosReport { return &chaosReport{out, json} }

func (r *chaosReport) print(o map[string]any) { _ = json.NewEncoder(r.out).Encode(o) }

const chaosRow = "%4s  %-11s  %-8s  %10s  %14s  %18s  %10s\n"

func (r *chaosReport) begin() {
	if !r.json {
		fmt.Fprintf(r.out, chaosRow, "", "fault", "node", "after step", "going on after", "lost", "back after")
	}
}

// strike tells of one failure that is over.
func (r *chaosReport) strike(s *strike, number int) {
	if r.json {
		r.print(map[string]any{"event": "failure", "kind": s.kind, "node": nodeOf(s), "step": s.step, "time": s.at.UTC().Format(time.RFC3339Nano),
			"recovery_s": s.wentOn.Seconds(), "steps_again": s.again, "lost_s": s.lost.Seconds(), "rejoin_s": s.back.Seconds()})
		return
	}
	back := "-"
	if s.back > 0 {
		back = seconds(s.back)
	}
	fmt.Fprintf(r.out, chaosRow, fmt.Sprint(number), s.kind, nodeOf(s), fmt.Sprint(s.step), seconds(s.wentOn), lostWork(s), back)
}

func nodeOf(s *strike) string {
	if s.node == launch.Coordinator {
		return "-"
	}
	return fmt.Sprintf("node-%d", s.node)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// lostWork is "1 step, 0.05 s": how many steps were made again, and how much of them
// was done already.
func lostWork(s *strike) string {
	if s.again == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%s, %.2f s", count(s.again, "step"), s.lost.Seconds())
}

// verdict sums up, and says in one sentence whether the run is what it would have
// been undisturbed: difference is why not.
func (r *chaosReport) verdict(strikes []*strike, asked int, difference, state string) (equal bool) {
	over := slices.DeleteFunc(slices.Clone(strikes), func(s *strike) bool { return s.wentOn == 0 })
	sums := summariseStrikes(over)
	equal = difference == ""
	if r.json {
		r.print(map[string]any{"event": "verdict", "equal": equal, "difference": difference, "state": state, "failures": len(over), "asked": asked, "kinds": sums})
		return equal
	}
	fmt.Fprintln(r.out)
	for _, s := range sums {
		fmt.Fprintf(r.out, "%-11s  %8s  going on after %.2f s (median), %.2f s (worst); at most %s made again", s.Kind, count(s.Times, "time"), s.Median, s.Worst, count(s.Again, "step"))
		if s.Back > 0 {
			fmt.Fprintf(r.out, "; back after %.2f s (median)", s.Back)
		}
		fmt.Fprintln(r.out)
	}
	if len(over) < asked {
		fmt.Fprintf(r.out, "the run was over after %d of %d failures; give it more --steps\n", len(over), asked)
	}
	if equal {
		fmt.Fprintf(r.out, "\nEqual: through %s, every loss and the final state (%.12s) are, to the bit, those of the undisturbed run.\n", count(len(over), "failure"), state)
	} else {
		fmt.Fprintf(r.out, "\nNOT EQUAL: %s.\n", difference)
	}
	return equal
}

// strikeSum is the failures of one kind; times in seconds.
type strikeSum struct {
	Kind   string  `json:"kind"`
	Times  int     `json:"times"`
	Median float64 `json:"recovery_median_s"`
	Worst  float64 `json:"recovery_worst_s"`
	Again  int64   `json:"steps_again_most"`
	Back   float64 `json:"rejoin_median_s"`
}

func summariseStrikes(strikes []*strike) []strikeSum {
	var sums []strikeSum
	for _, kind := range faultKinds {
		var wentOn, back []float64 // seconds
		sum := strikeSum{Kind: kind}
		for _, s := range strikes {
			if s.kind != kind {
				continue
			}
			wentOn, sum.Again = append(wentOn, s.wentOn.Seconds()), max(sum.Again, s.again)
			if s.back > 0 {
				back = append(back, s.back.Seconds())
			}
		}
		if sum.Times = len(wentOn); sum.Times > 0 {
			sum.Median, sum.Worst, sum.Back = median.Of(wentOn), slices.Max(wentOn), median.Of(back)
			sums = append(sums, sum)
		}
	}
	return sums
}

package cli

import (
	"fmt"
	"io"
	"math"
	"path/filepath"
	"text/tabwriter"

	"parallax/internal/chart"
	"parallax/internal/compare"
)

// printReport writes tables, the derivations, and the verdicts.
func printReport(w io.Writer, r *compare.Report) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ARM\tPARAMETERS\tFLOP/TOKEN\tSTEPS\tTOKENS/S\tGFLOP/S\tOF PEAK\tRING")
	for _, o := range r.Arms {
		fmt.Fprintf(table, "%s\t%d (%+.1f %%)\t%.4g (%+.1f %%)\t%d\t%s\t%s\t%s\t%s\n", o.Label, o.Parameters, 100*o.ParametersOff, o.FLOPsPerToken, 100*o.FLOPsOff,
			o.Steps, spread(o.TokensPerSecond, 1, 0), spread(o.FLOPsPerSecond, 1e-9, 1), spread(o.PeakShare, 100, 0)+" %", spread(o.RingShare, 100, 1)+" %")
	}
	printLosses(table, r, "VALIDATION LOSS", func(o compare.Outcome, a compare.Axis) compare.Stat { return o.Validation[a] })
	printLosses(table, r, "TRAINING LOSS, SMOOTHED", func(o compare.Outcome, a compare.Axis) compare.Stat { return o.Training[a] })
	printThroughput(table, r)
	printLayers(table, r)
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, o := range r.Arms {
		fmt.Fprintf(w, "%s: %s\n", o.Label, o.Derivation)
	}
	fmt.Fprintln(w)
	for _, v := range r.Verdicts {
		fmt.Fprintln(w, v.Sentence)
	}
	fmt.Fprintln(w)
	for _, n := range r.Notes {
		fmt.Fprintf(w, "note: %s\n", n)
	}
	return nil
}

func printLosses(w io.Writer, r *compare.Report, title string, loss func(compare.Outcome, compare.Axis) compare.Stat) {
	fmt.Fprintf(w, "\n%s AT EQUAL", title)
	for _, a := range compare.Axes {
		fmt.Fprintf(w, "\t%s", a.Describe(r.Budgets[a]))
	}
	fmt.Fprintln(w)
	for _, o := range r.Arms {
		fmt.Fprint(w, o.Label)
		for _, a := range compare.Axes {
			fmt.Fprintf(w, "\t%s", spread(loss(o, a), 1, 4))
		}
		fmt.Fprintln(w)
	}
}

// printThroughput writes how fast the arms train: what they learn, and how the first
// arm compares in it with each other one.
func printThroughput(w io.Writer, r *compare.Report) {
	fmt.Fprintln(w, "\nCOMPUTE-MATCHED THROUGHPUT\tTOKENS/S\tLOSS FALLS BY NATS/PFLOP\tBY NATS/MINUTE")
	for _, o := range r.Arms {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", o.Label, spread(o.TokensPerSecond, 1, 0), spread(o.Progress[compare.FLOPs], 1e15, 3), spread(o.Progress[compare.Seconds], 60, 3))
	}
	for _, t := range r.Throughput {
		fmt.Fprintf(w, "%s, times %s\t%s\t%s\t%s\n", t.Arm, t.Control, spread(t.TokensPerSecond, 1, 3), spread(t.PerFLOP, 1, 3), spread(t.PerSecond, 1, 3))
	}
}

// printLayers writes means over the layers at the end; the report has each layer.
func printLayers(w io.Writer, r *compare.Report) {
	fmt.Fprintln(w, "\nLAYERS AT THE END, MEANS\tCORRECTION\tENTROPY, NATS\tFIRST TOKEN\tSTABLE RANK OF W_Q\tW_R\tW_K")
	for _, o := range r.Arms {
		fmt.Fprint(w, o.Label)
		for _, q := range []struct {
			of     func(compare.LayerMeans) compare.Stat
			digits int
		}{
			{func(l compare.LayerMeans) compare.Stat { return l.Correction }, 3},
			{func(l compare.LayerMeans) compare.Stat { return l.Entropy }, 3},
			{func(l compare.LayerMeans) compare.Stat { return l.FirstToken }, 3},
			{func(l compare.LayerMeans) compare.Stat { return l.RankQ }, 1},
			{func(l compare.LayerMeans) compare.Stat { return l.RankR }, 1},
			{func(l compare.LayerMeans) compare.Stat { return l.RankK }, 1},
		} {
			fmt.Fprintf(w, "\t%s", spread(o.OverLayers(q.of), 1, q.digits))
		}
		fmt.Fprintln(w)
	}
}

// spread writes mean ± standard deviation, in multiples of 1/scale.
func spread(s compare.Stat, scale float64, digits int) string {
	mean, deviation := s.Mean(), s.Deviation()
	switch {
	case math.IsNaN(mean):
		return "-"
	case math.IsNaN(deviation):
		return fmt.Sprintf("%.*f", digits, scale*mean)
	}
	return fmt.Sprintf("%.*f ± %.*f", digits, scale*mean, digits, scale*deviation)
}

// curveForms are the kinds of picture that each plot is written as.
var curveForms = []string{"svg", "png"}

func curveFile(dir string, a compare.Axis, form string) string {
	return filepath.Join(dir, fmt.Sprintf("loss-%s.%s", a, form))
}

func curveFiles(dir string) []string {
	var files []string
	for _, a := range compare.Axes {
		for _, form := range curveForms {
			files = append(files, curveFile(dir, a, form))
		}
	}
	return files
}

// hidden is the share of the longest curve, at its beginning, that is left out of
// a plot: there all curves fall steeply, and would squeeze the rest.
const hidden = 0.1

// drawCurves writes the losses over each axis.
func drawCurves(dir string, r *compare.Report) error {
	for _, a := range compare.Axes {
		c := chart.Chart{Title: fmt.Sprintf("%s, %d seeds", r.Metric, r.Seeds), XLabel: a.Label(), YLabel: "nats per token"}
		longest := 0.0
		for _, o := range r.Arms {
			s := chart.Series{Name: o.Label}
			for _, curve := range o.Curves {
				points := r.Points(curve)
				s.Curves = append(s.Curves, along(points, a))
				longest = max(longest, points[len(points)-1].On(a))
			}
			c.Series = append(c.Series, s)
		}
		c.MinX = hidden * longest
		for _, form := range curveForms {
			if err := c.Write(curveFile(dir, a, form)); err != nil {
				return err
			}
		}
	}
	return nil
}

func along(points []compare.Point, a compare.Axis) []chart.XY {
	var line []chart.XY
	for _, p := range points {
		line = append(line, chart.XY{X: p.On(a), Y: p.Loss})
	}
	return line
}

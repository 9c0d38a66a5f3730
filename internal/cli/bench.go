package cli

import (
	"fmt"
	"io"
	"runtime"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"parallax/internal/bench"
	"parallax/internal/train"
	"parallax/internal/version"
	"parallax/kernels"
)

// benchFlags are what the measurements of a device have in common.
type benchFlags struct {
	deviceFlags
	json bool
}

func benchCommand() *cobra.Command {
	return group("bench", "Measure this host's kernels and training steps, and the ring", benchKernelsCommand(), benchStepCommand(), benchRingCommand())
}

func (f *benchFlags) add(cmd *cobra.Command) {
	f.deviceFlags.add(cmd.Flags(), "to measure")
	cmd.Flags().BoolVar(&f.json, "json", false, "print one JSON object per line")
}

// on opens the device, measures its peak, says what it is, and measures.
func (f *benchFlags) on(cmd *cobra.Command, measure func(kernels.Backend, kernels.Peak) error) error {
	be, err := f.open()
	if err != nil {
		return err
	}
	defer be.Close()
	var peak kernels.Peak
	if p, can := be.(kernels.Peaker); can {
		if peak, err = p.Peak(); err != nil {
			return err
		}
	}
	if err := f.describe(cmd, be, peak); err != nil {
		return err
	}
	return measure(be, peak)
}

func (f *benchFlags) describe(cmd *cobra.Command, be kernels.Backend, peak kernels.Peak) error {
	if f.json {
		return f.encode(cmd, map[string]any{"device": f.device, "summary": be.Info().Summary, "peak_flops_per_s": peak.FLOPS,
			"peak_bytes_per_s": peak.Bandwidth, "version": version.String(), "go": runtime.Version()})
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %s, peak %.0f GFLOP/s and %.1f GB/s, measured now; parallax %s, %s\n",
		f.device, be.Info().Summary, peak.FLOPS/1e9, peak.Bandwidth/1e9, version.String(), runtime.Version())
	return err
}

func (f *benchFlags) encode(cmd *cobra.Command, v any) error {
	return encodeLine(cmd.OutOrStdout(), v)
}

func benchKernelsCommand() *cobra.Command {
	var f benchFlags
	var runs int
	cmd := &cobra.Command{
		Use:   "kernels",
		Short: "Measure single operations against the device's peak",
		Long: `kernels measures products against the innermost product on operands in L1, and what memory
bounds against a triad a = b + s*c. The triad's arrays and the operands are larger than a
machine's share of any cache, so both come from memory. Bytes are counted once in and once
out: an operation that updates in place is spared reading lines only to overwrite them,
and can pass 100 % of the triad.`,
		Example: "  parallax bench kernels\n  parallax bench kernels --threads 1 --runs 20 --json",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if runs < 1 {
				return usageError("--runs %d: at least one is needed", runs)
			}
			return f.on(cmd, func(be kernels.Backend, peak kernels.Peak) error {
				var failed error
				err := bench.Kernels(be, peak, runs, func(r bench.KernelResult) {
					if err := f.kernel(cmd, r); err != nil {
						failed = err
					}
				})
				if err == nil {
					err = failed
				}
				if err != nil {
					return err
				}
				return f.resident(cmd)
			})
		},
	}
	f.add(cmd)
	cmd.Flags().IntVar(&runs, "runs", 9, "runs of each operation, of which the median counts")
	return cmd
}

// resident says how much memory the operations and their operands took.
func (f *benchFlags) resident(cmd *cobra.Command) error {
	if f.json {
		return f.encode(cmd, map[string]any{"resident_bytes": residentBytes()})
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "resident memory at most %.0f MB\n", float64(residentBytes())/1e6)
	return err
}

func (f *benchFlags) kernel(cmd *cobra.Command, r bench.KernelResult) error {
	if f.json {
		return f.encode(cmd, r)
	}
	rate := fmt.Sprintf("%7.1f GFLOP/s", r.FLOPS/1e9)
	if r.Bandwidth > 0 {
		rate = fmt.Sprintf("%7.1f GB/s   ", r.Bandwidth/1e9)
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%-50s %s %4.0f %%  %10v (%v to %v)\n", r.Name, rate, 100*r.Share,
		duration(r.Seconds.Median), duration(r.Seconds.Min), duration(r.Seconds.Max))
	return err
}

func duration(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second)).Round(time.Microsecond)
}

func benchStepCommand() *cobra.Command {
	var f benchFlags
	spec := specFlags{fallback: "small"}
	var plan bench.Plan
	cmd := &cobra.Command{
		Use:     "step",
		Short:   "Measure whole training steps on random tokens",
		Example: "  parallax bench step --preset small\n  parallax bench step --preset gpt2-124m --set train.slots=1 --steps 3 --json\n  parallax bench step --preset small --split",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case plan.Steps < 1:
				return usageError("--steps %d: at least one step is needed", plan.Steps)
			case plan.Warmup < 0:
				return usageError("--warmup %d: it must be 0 or more", plan.Warmup)
			}
			loaded, err := spec.load()
			if err != nil {
				return err
			}
			vocabulary, err := train.Vocabulary(loaded.Spec)
			if err != nil {
				return err
			}
			return f.on(cmd, func(be kernels.Backend, peak kernels.Peak) error {
				r, err := bench.Step(cmd.Context(), be, loaded.Spec, vocabulary, peak, plan)
				if err != nil {
					return err
				}
				return f.step(cmd, r)
			})
		},
	}
	f.add(cmd)
	spec.add(cmd)
	cmd.Flags().IntVar(&plan.Warmup, "warmup", 2, "steps that do not count")
	cmd.Flags().IntVar(&plan.Steps, "steps", 8, "steps measured, of which the median counts")
	cmd.Flags().BoolVar(&plan.Split, "split", false, "afterwards, make as many steps again and time every operation")
	return cmd
}

func (f *benchFlags) step(cmd *cobra.Command, r bench.StepResult) error {
	resident := residentBytes()
	if f.json {
		return f.encode(cmd, struct {
			bench.StepResult
			Resident int64 `json:"resident_bytes"`
		}{r, resident})
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%d parameters, %d tokens a step\n%.0f tokens/s, %.1f GFLOP/s (%.0f %% of the peak; %.1f GFLOP/s by 6N+12LHDT)\nstep %v (%v to %v): compute %v, update %v\nresident memory at most %.0f MB\n",
		r.Parameters, r.Tokens, r.Rate, r.FLOPS/1e9, 100*r.Share, r.FLOPS6N/1e9,
		duration(r.Seconds.Median), duration(r.Seconds.Min), duration(r.Seconds.Max), duration(r.Compute), duration(r.Update),
		float64(resident)/1e6)
	if err == nil && r.Device > 0 {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "device memory in use %.0f MB\n", float64(r.Device)/1e6)
	}
	if err != nil {
		return err
	}
	return writeSplit(cmd.OutOrStdout(), r)
}

// writeSplit is a table of where a step's time goes, without what takes less than a
// thousandth.
func writeSplit(w io.Writer, r bench.StepResult) error {
	if len(r.Split) == 0 {
		return nil
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\noperation\tcalls\tseconds a step\t\tGFLOP/s\t")
	sum := 0.0
	for _, p := range r.Split {
		sum += p.Seconds
	}
	for _, p := range r.Split {
		if p.Seconds < sum/1000 {
			continue
		}
		rate := ""
		if p.FLOPS > 0 {
			rate = fmt.Sprintf("%.1f", p.FLOPS/1e9)
		}
		fmt.Fprintf(table, "%s\t%.4g\t%.6f\t%.1f %%\t%s\t\n", p.Operation, p.Calls, p.Seconds, 100*p.Seconds/sum, rate)
	}
	return table.Flush()
}

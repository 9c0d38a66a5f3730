package cli

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"parallax/internal/verify"
	"parallax/kernels"
)

func verifyCommand() *cobra.Command {
	var backend string
	var threads int
	var tol float64
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify FILE.safetensors",
		Short: "Check this host's attention kernels against reference tensors",
		Long: `verify runs this host's kernels on the inputs in a safetensors file and compares
the results with the outputs in it.

Tensors, float32: q, r [B,T,Hq,D], k, v [B,T,Hkv,D], grad_o, and the outputs o,
grad_q, grad_r, grad_k, grad_v, of which those present are compared. Without r it is
softmax attention. Metadata (strings): scale (default 1/sqrt(D)), window, cu_seqlens
(comma-separated).

For each output it prints the root mean square of the error over that of the
reference, and the largest error over the reference's largest magnitude. The exit
code is 1 if either is above --tol.`,
		Example: `  parallax verify reference.safetensors
  parallax verify reference.safetensors --backend cuda:0 --tol 1e-2 --json`,
		Args: exactly("FILE.safetensors"),
		RunE: func(cmd *cobra.Command, args []string) error {
			results, err := verifyFile(args[0], backend, threads)
			if err != nil {
				return &exitError{exitUsage, err}
			}
			return reportVerification(cmd, results, tol, asJSON)
		},
	}
	cmd.Flags().StringVar(&backend, "backend", "cpu", "`device` to check: cpu, cuda:0")
	addThreads(cmd.Flags(), &threads)
	cmd.Flags().Float64Var(&tol, "tol", 1e-3, "largest relative error allowed")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per output")
	return cmd
}

func verifyFile(path, backend string, threads int) ([]verify.Comparison, error) {
	reference, err := verify.Open(path)
	if err != nil {
		return nil, err
	}
	be, err := kernels.Open(backend, kernels.Options{Threads: threads})
	if err != nil {
		return nil, err
	}
	defer be.Close()
	return reference.Run(be)
}

func reportVerification(cmd *cobra.Command, results []verify.Comparison, tol float64, asJSON bool) error {
	failed := 0
	enc := json.NewEncoder(cmd.OutOrStdout())
	table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "output\trelative RMS error\tmax error / max\t")
	for _, r := range results {
		verdict := "ok"
		if !r.Within(tol) {
			verdict = fmt.Sprintf("above %g", tol)
			failed++
		}
		if asJSON {
			if err := enc.Encode(map[string]any{"output": r.Output, "relative_rms": jsonNumber(r.RelativeRMS),
				"relative_max": jsonNumber(r.RelativeMax), "ok": r.Within(tol)}); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(table, "%s\t%.3e\t%.3e\t%s\n", r.Output, r.RelativeRMS, r.RelativeMax, verdict)
	}
	if !asJSON {
		if err := table.Flush(); err != nil {
			return err
		}
	}
	if failed > 0 {
		return &exitError{exitFailed, fmt.Errorf("%d of %d outputs are further than %g from the reference", failed, len(results), tol)}
	}
	return nil
}

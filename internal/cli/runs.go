package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"parallax/internal/coord"
	"parallax/record"
	"parallax/record/parquet"
	"parallax/record/tensorboard"
)

func runsCommand() *cobra.Command {
	var ledger string
	cmd := group("runs", "List, show, export, name and remove recorded runs",
		runsListCommand(&ledger), runsShowCommand(&ledger), runsExportCommand(&ledger),
		runsServeCommand(&ledger), runsTagCommand(&ledger), runsRemoveCommand(&ledger), runsImportCommand(&ledger))
	cmd.PersistentFlags().StringVar(&ledger, "ledger", filepath.Join("runs", "ledger.db"), "SQLite `file` of the record")
	return cmd
}

// withLedger opens the ledger to read.
func withLedger(path string, use func(*record.Ledger) error) error {
	l, err := record.OpenExisting(path)
	if errors.Is(err, fs.ErrNotExist) {
		return usageError("there is no ledger at %s: train something first (parallax sim), or say where it is with --ledger", path)
	}
	if err != nil {
		return &exitError{exitUsage, err}
	}
	defer l.Close()
	return use(l)
}

func runsListCommand(ledger *string) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "ls",
		Short:   "List the runs, the newest first",
		Example: "  parallax runs ls\n  parallax runs ls --json | jq -r .id",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withLedger(*ledger, func(l *record.Ledger) error { return listRuns(cmd, l, asJSON) })
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per run")
	return cmd
}

func listRuns(cmd *cobra.Command, l *record.Ledger, asJSON bool) error {
	runs, err := l.Runs()
	if err != nil {
		return err
	}
	enc := json.NewEncoder(cmd.OutOrStdout())
	table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "RUN\tNAME\tSTARTED\tSTATUS\tSTEPS\tLOSS\tVALIDATION\tTOKENS/S")
	for _, r := range runs {
		s, err := summarize(l, r)
		if err != nil {
			return err
		}
		if asJSON {
			if err := enc.Encode(s.object()); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", r.ID, r.Name, r.Started.Local().Format(time.DateTime), statusOf(r),
			s.steps, decimals(s.loss, 4), decimals(s.validation, 4), decimals(s.tokensPerSecond, 0))
	}
	if asJSON {
		return nil
	}
	return table.Flush()
}

// runSummary is a run in a line.
type runSummary struct {
	run              record.Run
	steps            int64
	loss, validation *float64 // of the last step and evaluation
	tokensPerSecond  *float64 // over the whole run
}

func summarize(l *record.Ledger, r record.Run) (runSummary, error) {
	s := runSummary{run: r}
	steps, err := l.Steps(r.ID)
	if err != nil {
		return s, err
	}
	tokens, seconds := 0.0, 0.0
	for _, step := range steps {
		s.steps, s.loss = step.Step, &step.Loss
		tokens += float64(step.Tokens)
		seconds += step.Seconds
	}
	if seconds > 0 {
		rate := tokens / seconds
		s.tokensPerSecond = &rate
	}
	evals, err := l.Evals(r.ID)
	if len(evals) > 0 {
		s.validation = &evals[len(evals)-1].Loss
	}
	return s, err
}

// interrupted is the status of a run that nobody ended, and that no coordinator has.
const interrupted = "interrupted"

// statusOf is where a run stands. The ledger does not know of a coordinator that was
// killed.
func statusOf(r record.Run) string {
	if r.Status == record.Running && coord.Abandoned(r.Dir) {
		return interrupted
	}
	return string(r.Status)
}

func (s runSummary) object() map[string]any {
	r := s.run
	return map[string]any{"id": r.ID, "name": r.Name, "dir": r.Dir, "status": statusOf(r), "exit_code": r.ExitCode, "reason": r.Reason,
		"started": r.Started, "finished": r.Finished, "spec_hash": r.SpecHash, "commit": r.Commit, "parameters": r.Parameters,
		"flops_per_token": r.FLOPsPerToken, "flops_per_token_6n": r.FLOPsPerToken6N, "data": r.DataSummary,
		"steps": s.steps, "loss": finiteOrNone(s.loss), "validation_loss": finiteOrNone(s.validation), "tokens_per_s": finiteOrNone(s.tokensPerSecond)}
}

func decimals(x *float64, digits int) string {
	if x == nil {
		return "-"
	}
	return fmt.Sprintf("%.*f", digits, *x)
}

// exportFlags say what of a run is written, as what, and where.
type exportFlags struct {
	format string
	table  string
	out    string
}

func runsExportCommand(ledger *string) *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use:   "export [RUN]",
		Short: "Write a run as JSON lines, CSV, Parquet or TensorBoard's events (default: the newest, to standard output)",
		Example: `  parallax runs export > run.jsonl
  parallax runs export 20261123-1949 --format csv --table steps -o steps.csv
  parallax runs export 20261123-1949 --format parquet -o exports
  parallax runs export 20261123-1949 --format tensorboard -o tb && tensorboard --logdir tb`,
		Args: atMostOne("a run"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return withLedger(*ledger, func(l *record.Ledger) error { return f.export(cmd, l, runArg(args)) })
		},
	}
	cmd.Flags().StringVar(&f.format, "format", "jsonl", "`format` of the export: jsonl or parquet (everything), csv (one table) or tensorboard (a folder for --logdir)")
	cmd.Flags().StringVar(&f.table, "table", "steps", "`table` that csv holds: "+strings.Join(record.Tables, ", "))
	cmd.Flags().StringVarP(&f.out, "output", "o", "", "`file` to write; for parquet and tensorboard the folder to write a folder into")
	return cmd
}

func (f *exportFlags) check() error {
	switch {
	case !slices.Contains([]string{"jsonl", "csv", "parquet", "tensorboard"}, f.format):
		return usageError("--format %s: use jsonl, csv, parquet or tensorboard", f.format)
	case !slices.Contains(record.Tables, f.table):
		return usageError("--table %s: use one of %v", f.table, record.Tables)
	case f.out == "" && (f.format == "tensorboard" || f.format == "parquet"):
		return usageError("--format %s writes a folder: name it with --output DIR", f.format)
	}
	return nil
}

func (f *exportFlags) export(cmd *cobra.Command, l *record.Ledger, ref string) (err error) {
	r, err := l.Run(ref)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	if f.format == "parquet" {
		folder, err := parquet.Export(l, r.ID, f.out)
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "wrote %s; read it back with: parallax runs import %s\n", folder, folder)
		return nil
	}
	if f.format == "tensorboard" {
		path, err := tensorboard.Export(l, r.ID, f.out)
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "wrote %s; look at it with: tensorboard --logdir %s\n", path, f.out)
		return nil
	}
	w := cmd.OutOrStdout()
	if f.out != "" {
		file, err := os.Create(f.out)
		if err != nil {
			return usageError("cannot write the export: %w", err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		w = file
	}
	if f.format == "csv" {
		return l.ExportCSV(w, r.ID, f.table)
	}
	return l.ExportJSONL(w, r.ID)
}

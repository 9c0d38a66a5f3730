package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"parallax/record"
	"parallax/record/parquet"
)

func runsTagCommand(ledger *string) *cobra.Command {
	return &cobra.Command{
		Use:     "tag RUN NAME",
		Short:   "Give a run a name, in place of the one it has; \"\" takes it away",
		Example: "  parallax runs tag 20261123-1949 baseline",
		Args:    exactly("a run", "a name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withRun(*ledger, args[0], func(l *record.Ledger, r record.Run) error { return tagRun(cmd, l, r, args[1]) })
		},
	}
}

func tagRun(cmd *cobra.Command, l *record.Ledger, r record.Run, name string) error {
	if err := l.RenameRun(r.ID, name); err != nil {
		return err
	}
	said := "has no name now"
	if name != "" {
		said = "is named " + name + " now"
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "run %s %s\n", r.ID, said)
	return err
}

// withRun opens the ledger and finds a run in it.
func withRun(ledger, ref string, use func(*record.Ledger, record.Run) error) error {
	if ref == "" {
		return usageError("which run? Give its id, the beginning of it, or its name; parallax runs ls lists them")
	}
	return withLedger(ledger, func(l *record.Ledger) error {
		r, err := l.Run(ref)
		if err != nil {
			return &exitError{exitUsage, err}
		}
		return use(l, r)
	})
}

func runsRemoveCommand(ledger *string) *cobra.Command {
	var yes, force bool
	cmd := &cobra.Command{
		Use:     "rm RUN",
		Short:   "Remove a run from the record; its folder stays",
		Example: "  parallax runs rm 20261123-1949 --yes",
		Args:    exactly("a run"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withRun(*ledger, args[0], func(l *record.Ledger, r record.Run) error { return removeRun(cmd, l, r, yes, force) })
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it: what is removed cannot be brought back")
	cmd.Flags().BoolVar(&force, "force", false, "even if it is recorded as running, and its folder does not tell that its coordinator died")
	return cmd
}

func removeRun(cmd *cobra.Command, l *record.Ledger, r record.Run, yes, force bool) error {
	name := r.ID
	if r.Name != "" {
		name += " (" + r.Name + ")"
	}
	switch {
	case statusOf(r) == string(record.Running) && !force:
		return usageError("run %s is recorded as running: stop it first, or remove it with --force if its coordinator has died", name)
	case !yes:
		return usageError("this would remove run %s, begun at %s, with all its steps and events from the record: add --yes to do it, or keep a copy first with parallax runs export %s",
			name, r.Started.Local().Format("2006-01-02 15:04"), r.ID)
	}
	if err := l.RemoveRun(r.ID); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "removed run %s from the record; its files are still in %s\n", name, r.Dir)
	return nil
}

func runsImportCommand(ledger *string) *cobra.Command {
	return &cobra.Command{
		Use:   "import FILE|FOLDER",
		Short: "Add a run to the record that another ledger has exported as JSON lines or Parquet",
		Example: `  parallax runs export > run.jsonl
  parallax runs import run.jsonl --ledger other/ledger.db
  parallax runs import exports/20261123-194946-7f3a --ledger other/ledger.db`,
		Args: exactly("a file, or a folder of Parquet"),
		RunE: func(cmd *cobra.Command, args []string) error { return importRun(cmd, *ledger, args[0]) },
	}
}

func importRun(cmd *cobra.Command, ledger, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return usageError("cannot read the run: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(ledger), 0o755); err != nil {
		return usageError("the ledger's folder cannot be made: %w; choose another with --ledger", err)
	}
	l, err := record.Open(ledger)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	defer l.Close()
	read := importFile
	if info.IsDir() {
		read = parquet.Import
	}
	run, err := read(l, path)
	if err != nil {
		return &exitError{exitUsage, fmt.Errorf("%s: %w", path, err)}
	}
	fmt.Fprintf(cmd.OutOrStdout(), "run %s is in %s now\n", run, ledger)
	return nil
}

func importFile(l *record.Ledger, path string) (run string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	return l.Import(file)
}

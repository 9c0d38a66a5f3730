package cli

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"parallax/internal/config"
	"parallax/internal/coord"
	"parallax/record"
)

// simRun is a run's folder: its id, its settings.
type simRun struct {
	id   string
	dir  string
	spec config.Spec
}

func (r simRun) specFile() string { return filepath.Join(r.dir, "spec.toml") }

var errNoRun = errors.New("there is no run to go on with")

// checkRun refuses a run that the coordinator or the nodes would refuse.
func (s *simCluster) checkRun(cmd *cobra.Command, spec config.Spec) error {
	if err := coord.New(coord.Config{Nodes: s.nodes}).CheckJob(coord.Job{Submission: coord.Submission{Spec: spec}}); err != nil {
		return &exitError{exitUsage, err}
	}
	return checkData(cmd, spec, s.cache)
}

// newRun makes a new run's folder within dir, an absolute path.
func newRun(dir string, spec config.Spec) (simRun, error) {
	run := simRun{id: record.NewRunID(time.Now()), spec: spec}
	run.dir = filepath.Join(dir, run.id)
	if err := os.MkdirAll(run.dir, 0o755); err != nil {
		return simRun{}, usageError("the folder %s cannot be made: %w; choose another place with --dir", run.dir, err)
	}
	return run, os.WriteFile(run.specFile(), config.Canonical(spec), 0o644)
}

// begun lists the runs that the ledger in dir has, which are those that have begun: a
// start that failed leaves a folder too.
func begun(dir string) (map[string]bool, error) {
	ledger, err := record.OpenExisting(filepath.Join(dir, "ledger.db"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer ledger.Close()
	runs, err := ledger.Runs()
	ids := make(map[string]bool, len(runs))
	for _, r := range runs {
		ids[r.ID] = true
	}
	return ids, err
}

// resumable finds the newest run in dir that has begun, of these settings or of any.
func resumable(dir string, spec config.Spec, anySettings bool) (simRun, error) {
	began, err := begun(dir)
	if err != nil {
		return simRun{}, usageError("--resume: %w", err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*", "spec.toml")) // the pattern is well-formed
	files = slices.DeleteFunc(files, func(file string) bool { return !began[filepath.Base(filepath.Dir(file))] })
	if len(files) == 0 {
		return simRun{}, usageError("%w in %s: leave --resume out to begin one", errNoRun, dir)
	}
	var newest *simRun
	for i := len(files) - 1; i >= 0; i-- { // ids sort by time
		run := simRun{id: filepath.Base(filepath.Dir(files[i])), dir: filepath.Dir(files[i])}
		text, err := os.ReadFile(files[i])
		if err != nil {
			return simRun{}, err
		}
		if run.spec, err = config.Parse(text); err != nil {
			continue // of another version
		}
		if anySettings || config.Hash(run.spec) == config.Hash(spec) {
			return run, nil
		}
		if newest == nil {
			newest = &run
		}
	}
	if newest == nil {
		return simRun{}, usageError("%w in %s that this version can read", errNoRun, dir)
	}
	return simRun{}, usageError("%w that has these settings; the newest, %s, differs: %v", errNoRun, newest.id, config.Diff(newest.spec, spec)[0])
}

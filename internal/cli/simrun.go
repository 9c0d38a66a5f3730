package cli

import (
	"errors"
	"os"
	"path/filepath"
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

// resumable finds the newest run in dir of these settings, or of any.
func resumable(dir string, spec config.Spec, anySettings bool) (simRun, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*", "spec.toml"))
	if err != nil || len(files) == 0 {
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
	return simRun{}, usageError("%w with these settings; the newest, %s, differs: %v", errNoRun, newest.id, config.Diff(newest.spec, spec)[0])
}

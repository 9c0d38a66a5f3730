package cli

import (
	"errors"
	"fmt"
	"path/filepath"

	"parallax/internal/config"
	"parallax/record"
)

// completed is why a coordinator has nothing to do: whoever has started it again with
// the flags that it had, as a supervisor does, need not try once more.
type completed struct{ sentence string }

func (c *completed) Error() string { return c.sentence }

// nothingToDo prints that the run is complete, if that is why a coordinator has not
// started, and makes it no error.
func nothingToDo(err error) error {
	if done := new(completed); errors.As(err, &done) {
		fmt.Println(done.sentence)
		return nil
	}
	return err
}

// used says whether the run's folder has checkpoints that are not to be gone on from.
func (f *coordinatorFlags) used() bool {
	steps, _ := filepath.Glob(filepath.Join(f.options.RunDir, "checkpoints", "step-*"))
	return len(steps) > 0 && !f.resume
}

// refuseUsed says what became of the run whose checkpoints the folder holds, and what
// can be done now.
func (f *coordinatorFlags) refuseUsed() error {
	dir := f.options.RunDir
	run := f.newest()
	switch {
	case run == nil:
		return usageError("%s holds the checkpoints of an earlier run: go on with it by --resume, or choose another --run-dir", dir)
	case run.Status == record.Done && f.isOf(run):
		return &completed{fmt.Sprintf("run %s is complete (%s): its result is in %s, see parallax runs --ledger %s show %s; for more steps, which are part of a run's settings, begin another with train.steps and --run-dir set anew",
			run.ID, run.Reason, filepath.Join(dir, "checkpoints"), f.ledger, run.ID)}
	case run.Status == record.Done:
		return usageError("%s holds the checkpoints of run %s, which is complete and had other settings: choose another --run-dir", dir, run.ID)
	default:
		return usageError("%s holds the checkpoints of run %s, which has ended with exit code %d (%s): go on with it by --resume, or choose another --run-dir",
			dir, run.ID, run.ExitCode, run.Reason)
	}
}

// newest is the newest run in our folder, as far as the ledger knows; nil: none.
func (f *coordinatorFlags) newest() *record.Run {
	if f.record == nil {
		return nil
	}
	runs, err := f.record.Runs()
	if err != nil {
		return nil // then only the files speak
	}
	for _, run := range runs {
		if run.Dir == f.options.RunDir {
			return &run
		}
	}
	return nil
}

// isOf says whether a run is the one that we are to coordinate, as far as we were told.
func (f *coordinatorFlags) isOf(run *record.Run) bool {
	return f.options.Run == nil || config.Hash(f.options.Run.Spec) == run.SpecHash
}

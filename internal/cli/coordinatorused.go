package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

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
func (f *coordinatorFlags) used() bool { return f.hasCheckpoints() && !f.resume }

func (f *coordinatorFlags) hasCheckpoints() bool {
	steps, _ := filepath.Glob(filepath.Join(f.options.RunDir, "checkpoints", "step-*"))
	return len(steps) > 0
}

// refuseOther refuses to go on from the checkpoints of a run that had other settings,
// as its nodes would. Where the ledger does not know whose they are, the nodes decide.
func (f *coordinatorFlags) refuseOther() error {
	if !f.resume || f.options.Run == nil || !f.hasCheckpoints() {
		return nil
	}
	runs := f.inFolder()
	if len(runs) == 0 || slices.ContainsFunc(runs, f.isOf) {
		return nil
	}
	theirs, err := config.Parse([]byte(runs[0].Spec))
	if err != nil {
		return nil // an older program's, and the nodes say what is wrong
	}
	var differences []string
	for _, d := range config.Diff(theirs, f.options.Run.Spec) {
		differences = append(differences, d.String())
	}
	return usageError("%s holds the checkpoints of run %s, which had other settings (%s): to go on with it give its settings with --spec, to begin a new run choose another --run-dir",
		f.options.RunDir, runs[0].ID, strings.Join(differences, "; "))
}

// refuseUsed says what became of the run whose checkpoints the folder holds, and what
// can be done now.
func (f *coordinatorFlags) refuseUsed() error {
	dir := f.options.RunDir
	run := f.newest()
	switch {
	case run == nil:
		return usageError("%s holds the checkpoints of an earlier run: go on with it by --resume, or choose another --run-dir", dir)
	case run.Status == record.Done && f.isOf(*run):
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
	if runs := f.inFolder(); len(runs) > 0 {
		return &runs[0]
	}
	return nil
}

// inFolder are the runs in our folder, as far as the ledger knows, the newest first.
func (f *coordinatorFlags) inFolder() []record.Run {
	if f.record == nil {
		return nil
	}
	runs, err := f.record.Runs()
	if err != nil {
		return nil // then only the files speak
	}
	return slices.DeleteFunc(runs, func(r record.Run) bool { return r.Dir != f.options.RunDir })
}

// isOf says whether a run is the one that we are to coordinate, as far as we were told.
func (f *coordinatorFlags) isOf(run record.Run) bool {
	return f.options.Run == nil || config.Hash(f.options.Run.Spec) == run.SpecHash
}

package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"parallax/internal/compare"
	"parallax/internal/config"
	"parallax/record"
)

// armsBench makes the runs of a comparison on a simulated cluster, one after the
// other, and leaves out what its ledger has.
type armsBench struct {
	cluster simCluster
	dir     string // of the runs and their ledger, absolute
	out     *os.File

	total, at int // runs in this part, and the one at hand
	made      int // of them by us
	spent     time.Duration
}

// expect begins a part of total runs.
func (b *armsBench) expect(total int) { b.total, b.at = total, 0 }

// trainAll makes whatever runs are missing, and reads all of them.
func (b *armsBench) trainAll(ctx context.Context, arms []compare.Arm, budget compare.Budget, seeds int) ([]compare.Trained, error) {
	if err := b.setSteps(ctx, arms, budget); err != nil {
		return nil, err
	}
	runs := compare.Runs(arms, seeds)
	b.expect(len(runs))
	var trained []compare.Trained
	for _, r := range runs {
		t, err := b.train(ctx, fmt.Sprintf("%s, seed %d", arms[r.Arm].Label, r.Seed), r.Spec)
		if err != nil {
			return nil, err
		}
		t.Run = r
		trained = append(trained, t)
	}
	return trained, nil
}

// setSteps gives the arms their lengths, after trial runs where they are needed.
func (b *armsBench) setSteps(ctx context.Context, arms []compare.Arm, budget compare.Budget) error {
	rates := make([]float64, len(arms))
	if budget == compare.EqualSeconds {
		b.expect(len(arms))
		for i, a := range arms {
			t, err := b.train(ctx, a.Label+", trial", a.Trial())
			if err != nil {
				return err
			}
			end := t.Curve.End()
			rates[i] = end.Tokens / end.Seconds
		}
	}
	if err := compare.SetSteps(arms, budget, rates); err != nil {
		return &exitError{exitFailed, err}
	}
	return nil
}

// train returns a run of a spec: a recorded one, or the rest of an interrupted
// one, or a new one.
func (b *armsBench) train(ctx context.Context, label string, spec config.Spec) (compare.Trained, error) {
	b.at++
	found, err := b.find(spec)
	if err != nil {
		return compare.Trained{}, err
	}
	title := fmt.Sprintf("[%d/%d] %s", b.at, b.total, label)
	if found != nil && found.Status == record.Done {
		fmt.Fprintf(b.out, "%s: recorded already, as run %s\n", title, found.ID)
		return b.read(found.ID)
	}
	run, err := b.place(found, spec)
	if err != nil {
		return compare.Trained{}, err
	}
	if err := b.make(ctx, title, label, run, found != nil); err != nil {
		return compare.Trained{}, err
	}
	t, err := b.read(run.id)
	if err == nil {
		fmt.Fprintf(b.out, "%s: %s%s\n", title, describe(t.Curve), b.left())
	}
	return t, err
}

// place is the folder of a run that goes on, or a new one.
func (b *armsBench) place(found *record.Run, spec config.Spec) (simRun, error) {
	if found != nil {
		return simRun{id: found.ID, dir: found.Dir, spec: spec}, nil
	}
	return newRun(b.dir, spec)
}

// make trains a run to its end.
func (b *armsBench) make(ctx context.Context, title, label string, run simRun, resume bool) error {
	cluster := b.cluster
	cluster.name, cluster.resume = label, resume
	began := time.Now()
	fmt.Fprintf(b.out, "%s: %d steps%s\n", title, run.spec.Train.Steps, map[bool]string{true: ", going on with run " + run.id}[resume])
	done, err := cluster.train(ctx, run, newLinePrinter(title, b.out))
	if err != nil {
		return err
	}
	switch {
	case done.ExitCode != exitOK:
		return &exitError{int(done.ExitCode), fmt.Errorf("%s (run %s) ended at step %d: %s; the same command goes on from there", label, run.id, done.Step, done.Reason)}
	case int(done.Step) < run.spec.Train.Steps:
		return &exitError{exitRequeue, fmt.Errorf("%s (run %s) was stopped at step %d of %d; the same command goes on from there", label, run.id, done.Step, run.spec.Train.Steps)}
	}
	b.made++
	b.spent += time.Since(began)
	return nil
}

// left says how long the other runs of this part may take.
func (b *armsBench) left() string {
	if b.at == b.total {
		return ""
	}
	left := time.Duration(b.total-b.at) * (b.spent / time.Duration(b.made))
	return fmt.Sprintf("; at most %s to go", left.Round(time.Second))
}

// describe is a run in a line.
func describe(c compare.Curve) string {
	end := c.End()
	line := fmt.Sprintf("training loss %.4f after %d steps in %.0f s", end.Loss, end.Step, end.Seconds)
	if n := len(c.Validation); n > 0 {
		line = fmt.Sprintf("validation loss %.4f, ", c.Validation[n-1].Loss) + line
	}
	return line
}

func (b *armsBench) ledgerFile() string { return filepath.Join(b.dir, "ledger.db") }

// find looks for a run of a spec with as many nodes: one that is done, or else the
// newest that can be gone on with; nil without one.
func (b *armsBench) find(spec config.Spec) (found *record.Run, err error) {
	if _, err := os.Stat(b.ledgerFile()); os.IsNotExist(err) {
		return nil, nil
	}
	err = withLedger(b.ledgerFile(), func(l *record.Ledger) error {
		runs, err := l.Runs() // the newest first
		if err != nil {
			return err
		}
		for _, r := range runs {
			alike, err := b.alike(l, r, spec)
			switch {
			case err != nil:
				return err
			case alike && r.Status == record.Done:
				found = &r
				return nil
			case alike && found == nil && r.SpecHash == config.Hash(spec) && canGoOn(r):
				found = &r
			}
		}
		return nil
	})
	return found, err
}

// alike says whether a run is of a spec, but for what changes nothing that is
// trained, and of as many nodes as ours; one that never had a node is.
func (b *armsBench) alike(l *record.Ledger, r record.Run, spec config.Spec) (bool, error) {
	theirs, err := config.Parse([]byte(r.Spec))
	if err != nil {
		return false, nil // of another version
	}
	theirs.Diagnostics = spec.Diagnostics
	if theirs != spec {
		return false, nil
	}
	world, err := worldOf(l, r.ID)
	return world == 0 || world == b.cluster.nodes, err
}

func canGoOn(r record.Run) bool {
	_, err := os.Stat(simRun{dir: r.Dir}.specFile())
	return err == nil
}

// worldOf is the number of ranks that a run began with, 0 if it had none yet.
func worldOf(l *record.Ledger, id string) (int, error) {
	ranks, err := l.Ranks(id)
	world := 0
	for _, r := range ranks {
		if r.Generation == ranks[0].Generation {
			world++
		}
	}
	return world, err
}

// read takes a run's curve from the ledger.
func (b *armsBench) read(id string) (t compare.Trained, err error) {
	err = withLedger(b.ledgerFile(), func(l *record.Ledger) error {
		run, err := l.Run(id)
		if err != nil {
			return err
		}
		layers, err := l.Layers(id)
		if err != nil {
			return err
		}
		t = compare.Trained{ID: id, Data: run.DataDigest, Code: run.Commit, Layers: compare.LastLook(layers)}
		t.Curve, err = curveOf(l, id)
		return err
	})
	return t, err
}

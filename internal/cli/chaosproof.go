package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"parallax/internal/config"
	"parallax/record"
)

// proven is what two runs are held against each other by.
type proven struct {
	run   string
	steps []record.Step // as recorded
	state string        // SHA-256 of the last checkpoint's tensors
}

// undisturbed is the run in which nothing happens: from the ledger, or made now on
// one node.
func (f *chaosFlags) undisturbed(ctx context.Context, spec config.Spec) (proven, error) {
	if known, err := f.known(spec); err != nil || known != nil {
		if known == nil {
			return proven{}, err
		}
		fmt.Fprintf(os.Stderr, "the undisturbed run is %s, from the ledger\n", known.run)
		return *known, nil
	}
	run, err := newRun(f.sim.dir, spec)
	if err != nil {
		return proven{}, err
	}
	fmt.Fprintf(os.Stderr, "training %d steps undisturbed, on one node\n", spec.Train.Steps)
	alone := f.sim.cluster
	alone.nodes = 1
	began := time.Now()
	progress := newLinePrinter("undisturbed", os.Stderr)
	progress.every = 10 * time.Second
	done, err := alone.train(ctx, run, progress)
	if err != nil {
		return proven{}, err
	}
	switch early := int(done.Step) < spec.Train.Steps; {
	case early && ctx.Err() != nil && done.ExitCode == exitOK:
		return proven{}, errDrillStopped
	case early:
		return proven{}, &exitError{exitFailed, fmt.Errorf("the undisturbed run ended early: %s", done.Reason)}
	}
	fmt.Fprintf(os.Stderr, "undisturbed: %d steps in %.1f s\n", done.Step, time.Since(began).Seconds())
	return f.outcome(run)
}

func (f *chaosFlags) ledger() string { return filepath.Join(f.sim.dir, "ledger.db") }

// known finds an undisturbed run of the spec in the ledger: one that needed a single
// generation. nil: there is none that is whole.
func (f *chaosFlags) known(spec config.Spec) (found *proven, err error) {
	if _, err := os.Stat(f.ledger()); err != nil {
		return nil, nil
	}
	return found, withLedger(f.ledger(), func(l *record.Ledger) error {
		runs, err := l.Runs()
		if err != nil {
			return err
		}
		for _, r := range runs {
			if r.SpecHash != config.Hash(spec) || r.Status != record.Done {
				continue
			}
			p, err := prove(l, r.ID, r.Dir, spec)
			if err == nil && len(p.steps) == spec.Train.Steps && p.steps[len(p.steps)-1].Generation == 1 {
				found = &p
				return nil
			}
		}
		return nil
	})
}

// outcome reads what a run has left.
func (f *chaosFlags) outcome(run simRun) (p proven, err error) {
	err = withLedger(f.ledger(), func(l *record.Ledger) error {
		p, err = prove(l, run.id, run.dir, run.spec)
		return err
	})
	return p, err
}

func prove(l *record.Ledger, id, dir string, spec config.Spec) (p proven, err error) {
	p.run = id
	if p.steps, err = l.Steps(id); err != nil {
		return p, err
	}
	p.state, err = stateDigest(filepath.Join(dir, "checkpoints", fmt.Sprintf("step-%08d", spec.Train.Steps)))
	return p, err
}

// stateDigest is the SHA-256 of a checkpoint's tensors: parameters and optimizer.
func stateDigest(checkpoint string) (string, error) {
	h := sha256.New()
	for _, file := range []string{"model.safetensors", "optimizer.safetensors"} {
		data, err := os.ReadFile(filepath.Join(checkpoint, file))
		if err != nil {
			return "", fmt.Errorf("the run's last state cannot be read: %w", err)
		}
		h.Write(data)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// differs says how a run is not the one that is wanted, or "".
func (p proven) differs(want proven) string {
	if len(p.steps) != len(want.steps) {
		return fmt.Sprintf("%d steps are recorded, and %d undisturbed", len(p.steps), len(want.steps))
	}
	for i, s := range p.steps {
		w := want.steps[i]
		if s.Step != w.Step {
			return fmt.Sprintf("step %d is recorded where step %d is due", s.Step, w.Step)
		}
		if math.Float64bits(s.Loss) != math.Float64bits(w.Loss) {
			return fmt.Sprintf("the loss of step %d is %v, and %v undisturbed", s.Step, s.Loss, w.Loss)
		}
	}
	if p.state != want.state {
		return fmt.Sprintf("the last state is %.12s, and %.12s undisturbed", p.state, want.state)
	}
	return ""
}

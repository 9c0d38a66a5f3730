package agent_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parallax/internal/agent"
	"parallax/internal/coord"
	"parallax/internal/train/traintest"
	pb "parallax/proto/parallax/v1"
)

// wantErrors collects how n nodes ended: all with a code and, in one of them at
// least, with the words.
func (r *rig) wantErrors(n, code int, words string) {
	r.t.Helper()
	said := false
	for range n {
		err := <-r.results
		var e *agent.Error
		if !errors.As(err, &e) || e.Code != code {
			r.t.Errorf("a node ended with %v, want code %d", err, code)
			continue
		}
		said = said || strings.Contains(err.Error(), words)
	}
	if !said {
		r.t.Errorf("no node's error says %q", words)
	}
}

// wantEnd checks the end that the run told.
func (h history) wantEnd(t *testing.T, code int32, words ...string) {
	t.Helper()
	if h.done.GetExitCode() != code {
		t.Errorf("the run ended with code %d, want %d", h.done.GetExitCode(), code)
	}
	for _, w := range words {
		if !strings.Contains(h.done.GetReason(), w) {
			t.Errorf("the run ended because %q, which lacks %q", h.done.GetReason(), w)
		}
	}
}

// Data that a node cannot load ends the run for all, before it has started.
func TestNoData(t *testing.T) {
	r := newRig(t, testSpec(t, filepath.Join(t.TempDir(), "nowhere.txt")), 1, t.TempDir(), false)
	h := r.watch(nil)
	r.wantErrors(1, agent.CodeUsage, "cannot prepare the data")
	h.wantEnd(t, 2, "cannot take part", "cannot prepare the data", "nowhere.txt")
	if len(h.losses) > 0 {
		t.Errorf("%d steps were made without data", len(h.losses))
	}
}

// A node that lacks the data is turned away, with the reason, and another takes its place.
func TestOneWithoutData(t *testing.T) {
	r := newRig(t, testSpec(t, traintest.WriteWords(t, 20000)), 1, t.TempDir(), false, func(o *coord.Options) { o.Nodes = 2 })
	lacking := r.options(1, r.coord.Address())
	lacking.CacheDir = filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(lacking.CacheDir, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var failed *agent.Error
	if err := agent.Run(context.Background(), lacking); !errors.As(err, &failed) || failed.Code != agent.CodeUsage {
		t.Errorf("the node without the data ended with %v", err)
	}
	go func() { r.results <- agent.Run(context.Background(), r.options(2, r.coord.Address())) }()
	h := r.watch(nil)
	h.wantEnd(t, 0, "trained 8 steps")
	r.wantNodes(2)
	if said := strings.Join(h.notices, "\n"); !strings.Contains(said, "node-1 cannot take part: node node-1 cannot prepare the data") {
		t.Errorf("it said %s", said)
	}
}

// A node whose name is taken is refused; the run goes on without it.
func TestRefusal(t *testing.T) {
	spec := testSpec(t, traintest.WriteWords(t, 20000), "train.steps=100000", "eval.every=0", "checkpoint.every=0")
	r := newRig(t, spec, 1, t.TempDir(), false)
	r.watch(func(e *pb.RunEvent) {
		if e.GetStarted() == nil {
			return
		}
		var refused *agent.Error
		err := agent.Run(context.Background(), r.options(0, r.coord.Address()))
		if !errors.As(err, &refused) || refused.Code != agent.CodeUsage || !strings.Contains(err.Error(), "the coordinator refuses this node") {
			t.Errorf("the second node of that name ended with %v", err)
		}
		r.coord.Stop("seen enough", 0)
	}).wantEnd(t, 0, "seen enough")
	r.wantNodes(1)
}

// Numbers that grow beyond all bounds end the run with a reason, and a failure
// that a supervisor sees.
func TestDivergedRun(t *testing.T) {
	spec := testSpec(t, traintest.WriteWords(t, 20000), "optimizer.lr=1e30", "optimizer.adam_lr=1e30", "schedule.warmup=0")
	r := newRig(t, spec, 2, t.TempDir(), false)
	h := r.watch(nil)
	r.wantErrors(2, 1, "has diverged")
	h.wantEnd(t, 1, "the run has diverged", "at step", "lower optimizer.lr")
}

// A folder that cannot be written to is told with every checkpoint, and the run,
// whose result would be lost, ends with a failure: not with one after which it would be
// started again by itself, whichever rank's report comes first.
func TestNowhereToSave(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, testSpec(t, traintest.WriteWords(t, 20000)), 2, filepath.Join(file, "run"), false)
	r.unwritable = true
	h := r.watch(nil)
	r.wantErrors(2, agent.CodeUsage, "cannot save the checkpoint of step 8")
	h.wantEnd(t, agent.CodeUsage, "node-0 cannot go on after step 8", "cannot save the checkpoint of step 8", file, "first make room there",
		"node-1 could not save its state", "no checkpoint was written")
	if len(h.unsaved) < 2 || len(h.checkpoints) > 0 {
		t.Errorf("checkpoints %v were told and %v were not saved", h.checkpoints, h.unsaved)
	}
}

// A node waits for its coordinator, but not for ever.
func TestNobodyThere(t *testing.T) {
	r := &rig{t: t, cache: t.TempDir()}
	o := r.options(0, "127.0.0.1:1")
	o.Patience = 50 * time.Millisecond
	var gone *agent.Error
	if err := agent.Run(context.Background(), o); !errors.As(err, &gone) || gone.Code != agent.CodeUnavailable {
		t.Errorf("without a coordinator it ended with %v", err)
	}
	o.Device = "abacus"
	if err := agent.Run(context.Background(), o); !errors.As(err, &gone) || gone.Code != agent.CodeUsage || !strings.Contains(err.Error(), "abacus") {
		t.Errorf("without a device it ended with %v", err)
	}
}

// A node that is interrupted drains: the cluster stops after the step under way,
// saves, and asks to be requeued.
func TestDrain(t *testing.T) {
	spec := testSpec(t, traintest.WriteWords(t, 20000), "train.steps=100000", "eval.every=0", "checkpoint.every=0")
	r := newRig(t, spec, 1, t.TempDir(), false)
	h := r.watch(func(e *pb.RunEvent) {
		if e.GetStep().GetStep() == 3 {
			r.drain()
		}
	})
	r.wantErrors(1, 75, "asks to leave")
	h.wantEnd(t, 75, "asks to leave")
	if len(h.checkpoints) != 1 || h.checkpoints[h.done.Step] == "" {
		t.Errorf("after step %d the checkpoints are %v", h.done.Step, h.checkpoints)
	}
}

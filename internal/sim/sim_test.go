package sim_test

import (
	"testing"
	"testing/synctest"
	"time"

	"parallax/internal/config"
	"parallax/internal/sim"
	"parallax/internal/train/traintest"
	_ "parallax/kernels/cpu"
)

func testSpec(t *testing.T, data string, set ...string) config.Spec {
	t.Helper()
	return traintest.Spec(t, data, append([]string{"train.seq_len=8", "train.micro_batch=1", "train.slots=6", "train.steps=10",
		"train.reduction=sum-exact", "eval.batches=1", "eval.every=4", "checkpoint.every=4"}, set...)...)
}

// bench is what scenarios have in common: a run spec, its tokens, and the outcome of
// a run in which nothing goes wrong.
type bench struct {
	spec        config.Spec
	cache       string
	undisturbed sim.Outcome
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{cache: t.TempDir()}
	data := traintest.WriteWords(t, 5000)
	b.spec = testSpec(t, data)
	every := testSpec(t, data, "checkpoint.every=1", "checkpoint.keep=100") // neither changes the state
	dir := t.TempDir()
	synctest.Test(t, func(*testing.T) {
		b.undisturbed = sim.Run(sim.Scenario{Spec: every, Nodes: 1, FailureTimeout: 2 * time.Second, Dir: dir, Cache: b.cache})
	})
	if err := sim.Check(b.undisturbed, b.undisturbed); err != nil {
		t.Fatalf("the undisturbed run: %v\n%s", err, b.undisturbed.Story)
	}
	if len(b.undisturbed.Checkpoints) != b.spec.Train.Steps {
		t.Fatalf("the undisturbed run has the checkpoints %v, want one of each step", b.undisturbed.Checkpoints)
	}
	return b
}

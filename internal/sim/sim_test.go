package sim_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parallax/internal/config"
	"parallax/internal/sim"
	_ "parallax/kernels/cpu"
)

func testSpec(t *testing.T, data string, set ...string) config.Spec {
	t.Helper()
	loaded, err := config.Load(config.Sources{Preset: "tiny", Set: append([]string{
		"model.layers=1", "model.width=32", "model.q_heads=2", "model.kv_heads=1", "model.head_dim=16", "model.ffn=32",
		"train.seq_len=8", "train.micro_batch=1", "train.slots=6", "train.steps=10", "schedule.warmup=2", "train.reduction=sum-exact",
		"eval.batches=1", "eval.every=4", "checkpoint.every=4", "data.path=" + data}, set...)})
	if err != nil {
		t.Fatal(err)
	}
	return loaded.Spec
}

func writeText(t *testing.T, bytes int) string {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("the ring carries what the nodes have learnt and every node adds its share of it")
	var text strings.Builder
	for text.Len() < bytes {
		text.WriteString(words[r.IntN(len(words))] + " ")
	}
	path := filepath.Join(t.TempDir(), "text.txt")
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
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
	data := writeText(t, 5000)
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

package cli_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"parallax/internal/config"
	"parallax/internal/train"
	"parallax/model"
)

// sim runs "parallax sim" to a good end.
func (p place) sim(nodes string, args ...string) told {
	p.t.Helper()
	return p.run(append([]string{"sim", "--nodes", nodes}, args...)...).want(0).told()
}

// One, two and four nodes train alike, and the same command twice gives the same
// bits, in what it prints and in what it leaves.
func TestWorldsAgreeAndRepeat(t *testing.T) {
	long(t)
	t.Parallel()
	p := newPlace(t)
	flags := p.writeRun(50, 25)
	first := map[string]told{}
	for _, nodes := range []string{"1", "2", "4"} {
		h := p.sim(nodes, flags...)
		first[nodes] = h
		if len(h.losses) != 50 || h.done.Step != 50 {
			t.Fatalf("%s nodes: %d steps were told and %d made, want 50", nodes, len(h.losses), h.done.Step)
		}
		for step, want := range first["1"].losses {
			if got := h.losses[step]; math.Abs(got-want) > 1e-4*want {
				t.Errorf("step %d: loss %v on %s nodes, %v on one", step, got, nodes, want)
			}
		}
	}
	for nodes, h := range first {
		again := p.sim(nodes, flags...)
		if !maps.Equal(again.losses, h.losses) || *again.done.Validation != *h.done.Validation {
			t.Errorf("%s nodes: the same run twice has other losses", nodes)
		}
		if stateOf(t, again.done.Checkpoint) != stateOf(t, h.done.Checkpoint) {
			t.Errorf("%s nodes: the same run twice leaves other bits", nodes)
		}
	}
	if losses := first["4"].losses; losses[50] > losses[1]-1 {
		t.Errorf("the loss went from %v to %v", losses[1], losses[50])
	}
}

// Ctrl-C saves and exits with 0; --resume, without any setting, goes on and ends
// with the bits of a run that was not stopped.
func TestInterruptAndResume(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	stopped := p.stopAfter(30, append([]string{"sim", "--nodes", "3"}, p.lasting()...)...)
	if !strings.Contains(stopped.done.Reason, "interrupted") || stopped.done.Checkpoint == "" {
		t.Errorf("it ended with %+v", stopped.done)
	}
	resumed := p.stopAfter(stopped.done.Step+30, "sim", "--nodes", "3", "--resume", "--json")
	checkSameEnd(t, undisturbed(t, "3", resumed), stopped, resumed)
	if got, _ := filepath.Glob(p.path("runs/*/spec.toml")); len(got) != 1 {
		t.Errorf("resuming made another run: %v", got)
	}
}

// endlessSteps are those of a run that is stopped once a test has seen what it waits for,
// however fast this machine is.
const endlessSteps = 1_000_000

// lasting is writeRun of such a run. No step of it depends on how many follow.
func (p place) lasting() []string {
	p.t.Helper()
	return append(p.writeRun(endlessSteps, 0), "--set", "schedule.name=constant")
}

// undisturbed is a lasting run that nothing happens to, up to the step where another one
// was stopped.
func undisturbed(t *testing.T, nodes string, stopped told, flags ...string) told {
	t.Helper()
	p := newPlace(t)
	return p.sim(nodes, slices.Concat(p.lasting(), []string{"--steps", fmt.Sprint(stopped.done.Step)}, flags)...)
}

// stopAfter has "parallax args" train until it has told of a step, and then interrupts it.
func (p place) stopAfter(step int64, args ...string) told {
	p.t.Helper()
	c := p.start(args...)
	c.untilStep(step)
	c.signal(syscall.SIGINT)
	return c.wait().want(0).told()
}

// checkSameEnd holds a run in two parts against one that was not disturbed.
func checkSameEnd(t *testing.T, want, before, after told) {
	t.Helper()
	if after.done.Step != want.done.Step {
		t.Fatalf("it ended at step %d, want %d", after.done.Step, want.done.Step)
	}
	for step, loss := range want.losses {
		got, known := after.losses[step]
		if step <= before.done.Step {
			if known {
				t.Errorf("step %d was made again, though step %d was saved", step, before.done.Step)
			}
			got, known = before.losses[step]
		}
		if known && got != loss {
			t.Errorf("step %d: loss %v, undisturbed %v", step, got, loss)
		}
		if !known && step > before.done.Step {
			t.Errorf("step %d is missing", step)
		}
	}
	if stateOf(t, after.done.Checkpoint) != stateOf(t, want.done.Checkpoint) {
		t.Error("its last checkpoint has other bits than that of the undisturbed run")
	}
}

// What a script reads: objects with an event, those that are promised, and what a
// step carries.
func TestJSONEvents(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	c := p.run(append([]string{"sim", "--nodes", "2"}, p.writeRun(50, 20)...)...).want(0)
	count := map[string]int{}
	for _, e := range c.told().all {
		count[e.Event]++
		if e.Time.IsZero() {
			t.Errorf("a %s has no time", e.Event)
		}
		switch e.Event {
		case "step":
			checkStep(t, e)
		case "view":
			if len(e.Members) != 2 || e.Members[1].Node != "node-1" || e.Reason == "" {
				t.Errorf("view %+v", e)
			}
		case "checkpoint":
			if e.Path == "" || e.Error != "" {
				t.Errorf("checkpoint %+v", e)
			}
		}
	}
	want := map[string]int{"started": 1, "view": 1, "step": 50, "eval": 2, "diagnosis": 3, "checkpoint": 3, "done": 1}
	for kind, n := range want {
		if count[kind] != n {
			t.Errorf("%d events of kind %s, want %d", count[kind], kind, n)
		}
	}
}

func checkStep(t *testing.T, e event) {
	t.Helper()
	if e.Loss == nil || *e.Loss <= 0 || e.TokensPerS <= 0 || e.FLOPsPerS <= 0 || e.Tokens != 128 || e.Steps != 50 || e.World != 2 {
		t.Errorf("step %+v", e)
	}
	var parts map[string]float64
	if err := json.Unmarshal(e.Seconds, &parts); err != nil {
		t.Error(err)
	}
	sum := 0.0
	for _, part := range []string{"compute", "reduce", "wait", "update"} {
		s, given := parts[part]
		if !given || s < 0 {
			t.Errorf("step %d: seconds are %s, want %s among them", e.Step, e.Seconds, part)
		}
		sum += s
	}
	if total := parts["total"]; total <= 0 || sum > total*1.001 {
		t.Errorf("step %d: the parts of %s are %v, more than the whole", e.Step, e.Seconds, sum)
	}
}

// What all nodes send in a step is what the ring's arithmetic says: 2(n-1)/n of
// the gradient each, and every update n-1 times.
func TestWireBytes(t *testing.T) {
	long(t)
	t.Parallel()
	p := newPlace(t)
	const n = 4
	h := p.sim("4", p.writeRun(6, 0)...)
	want := float64(4 * (2*(n-1)*parameters(t, p, "") + (n-1)*parameters(t, p, "matrices")))
	steps := 0
	for _, e := range h.all {
		if e.Event != "step" {
			continue
		}
		steps++
		if math.Abs(e.WireBytes-want) > 0.02*want {
			t.Errorf("step %d: %.0f bytes were sent, want %.0f", e.Step, e.WireBytes, want)
		}
	}
	if steps != 6 {
		t.Errorf("%d steps, want 6", steps)
	}
}

// parameters counts those of the place's run, or of its hidden matrices alone.
func parameters(t *testing.T, p place, which string) int {
	t.Helper()
	loaded, err := config.Load(config.Sources{File: p.path("run.toml")})
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := train.ModelConfig(loaded.Spec, 256)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, q := range model.NewLayout(cfg).Params {
		if which == "" || q.Kind == model.Matrix {
			sum += q.Len()
		}
	}
	return sum
}

// A synthetic task is trained on like a text: on two nodes to the bits of one, and its
// model is none that continues a text.
func TestTrainOnATask(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	flags := append(p.writeRun(30, 0)[:2], "--http=", "--json", "--set", "train.reduction=sum-exact",
		"--set", "data.task=associative-recall", "--set", "train.seq_len=32")
	one, two := p.sim("1", flags...), p.sim("2", flags...)
	if !maps.Equal(one.losses, two.losses) || len(one.losses) != 30 || one.done.Validation == nil {
		t.Errorf("one node: %v, two nodes: %v, validation %v", one.losses, two.losses, one.done.Validation)
	}
	p.run("sample", "--checkpoint", two.done.Checkpoint).refuses(2, "trained on the task associative-recall", "no text")
}

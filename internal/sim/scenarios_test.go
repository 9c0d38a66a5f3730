package sim_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parallax/internal/agent"
	"parallax/internal/sim"
	"parallax/internal/train"
)

// last is the last step of the tests' runs.
const last = 10

// What went wrong once, and must not again.
func TestScenarios(t *testing.T) {
	b := newBench(t)
	for name, c := range map[string]struct {
		nodes, needed int
		faults        []sim.Fault
		code          int32
	}{
		"a step that only a survivor has reported is told when the run ends": {2, 2, []sim.Fault{
			{Do: sim.Kill, Node: 1, Who: 1, Step: 2, Phase: train.Apply}}, 69},
		"who saves the last state dies, and the others still have it": {3, 1, []sim.Fault{
			{Do: sim.Kill, Node: 0, Who: 0, Step: last, Phase: agent.Checkpoint}}, 0},
		"who saves cannot tell the coordinator that all is done": {3, 1, []sim.Fault{
			{Do: sim.Cut, Node: 0, Peer: sim.Coordinator, For: time.Minute, Who: 0, Step: last, Phase: train.Exchange}}, 0},
		"one dies when all is done, and too few would be left": {3, 3, []sim.Fault{
			{Do: sim.Kill, Node: 2, Who: 0, Step: last, Phase: agent.Checkpoint, After: 800 * time.Microsecond}}, 0},
		"one is to leave when all is done": {2, 2, []sim.Fault{
			{Do: sim.Drain, Node: 1, Who: 1, Step: last, Phase: train.Applied}}, 0},
		"a joiner dies while it fetches": {3, 2, []sim.Fault{
			{Do: sim.Kill, Node: 2, Who: 2, Step: 3, Phase: train.Reduce},
			{Do: sim.Launch, Node: 2, Who: sim.Anybody, Step: 5, Phase: train.Load},
			{Do: sim.Kill, Node: 2, Who: 2, Step: 0, Phase: agent.Fetch}}, 0},
		"the member dies that serves the state to a joiner": {4, 2, []sim.Fault{
			{Do: sim.Kill, Node: 2, Who: 2, Step: 3, Phase: train.Reduce},
			{Do: sim.Launch, Node: 2, Who: sim.Anybody, Step: 5, Phase: train.Load},
			{Do: sim.Kill, Node: 3, Who: 2, Step: 0, Phase: agent.Fetch}}, 0},
		"the only one dies that has applied a torn step, before the others have its state": {4, 2, []sim.Fault{
			{Do: sim.Kill, Node: 2, Who: 2, Step: 5, Phase: train.Apply},
			{Do: sim.Kill, Node: 1, Who: 1, Step: 5, Phase: agent.Fetch}}, 0},
		"the only one dies that has applied a torn step, and the others are too few": {4, 3, []sim.Fault{
			{Do: sim.Kill, Node: 2, Who: 2, Step: 5, Phase: train.Apply},
			{Do: sim.Kill, Node: 1, Who: 1, Step: 5, Phase: agent.Fetch}}, 69},
		"the only node is starved for a while": {1, 1, []sim.Fault{
			{Do: sim.Freeze, Node: 0, Who: 0, Step: 5, Phase: train.Backward, For: 20 * time.Second}}, 0},
		"one of those who are all needed is starved for a while": {3, 3, []sim.Fault{
			{Do: sim.Freeze, Node: 1, Who: 1, Step: 5, Phase: train.Reduce, For: 20 * time.Second}}, 0},
		"one of those who are all needed is starved for too long": {3, 3, []sim.Fault{
			{Do: sim.Freeze, Node: 1, Who: 1, Step: 5, Phase: train.Reduce, For: 2 * time.Minute}}, 69},
		"two of four die in different phases of a step": {4, 2, []sim.Fault{
			{Do: sim.Kill, Node: 1, Who: 1, Step: 5, Phase: train.Update},
			{Do: sim.Kill, Node: 3, Who: 2, Step: 5, Phase: train.Backward}}, 0},
		"too few are left, and the run waits for one to come": {2, 2, []sim.Fault{
			{Do: sim.Kill, Node: 1, Who: 1, Step: 5, Phase: train.Exchange},
			{Do: sim.Launch, Node: 1, Who: 1, Step: 5, Phase: train.Exchange, After: 5 * time.Second}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sim.Scenario{Seed: 1, Spec: b.spec, Cache: b.cache, Nodes: c.nodes, MinNodes: c.needed, Faults: c.faults, FailureTimeout: 2 * time.Second}
			if strings.Contains(name, "waits") {
				s.QuorumTimeout = time.Minute
			}
			out := b.play(t, s)
			if out.Done.GetExitCode() != c.code || len(out.Fired) != len(c.faults) {
				t.Errorf("it ended with code %d after %d of %d faults, want code %d\n%s", out.Done.GetExitCode(), len(out.Fired), len(c.faults), c.code, out.Story)
			}
			if again := strings.Contains(out.Story.String(), "step 5 is made again"); again != (strings.Contains(name, "torn") && c.code == 0) {
				t.Errorf("step 5 is made again: %v\n%s", again, out.Story)
			}
		})
	}
}

// A node that hangs, in whatever phase, holds the others up for little more than the
// failure timeout: the time to miss it, a tenth of that for its answer, and the step.
func TestHangIsOverSoon(t *testing.T) {
	b := newBench(t)
	const limit = 5 * time.Second / 4
	for _, phase := range []train.Phase{train.Load, train.Reduce, train.Exchange, train.Update, train.Apply} {
		t.Run(string(phase), func(t *testing.T) {
			t.Parallel()
			out := b.play(t, sim.Scenario{Seed: 3, Spec: b.spec, Cache: b.cache, Nodes: 4, MinNodes: 3, FailureTimeout: time.Second,
				Faults: []sim.Fault{{Do: sim.Freeze, Node: 2, Who: 2, Step: 5, Phase: phase, For: time.Minute}}})
			for i, s := range out.Steps[1:] {
				if took := time.Duration(out.Times[i+1] - out.Times[i]); took > limit {
					t.Errorf("step %d came %v after the one before\n%s", s.Step, took, out.Story)
				}
			}
		})
	}
}

// Check is no use if it finds nothing wrong where something is.
func TestCheckFindsFault(t *testing.T) {
	b := newBench(t)
	s := sim.Scenario{Seed: 2, Spec: b.spec, Cache: b.cache, Nodes: 3, MinNodes: 2, FailureTimeout: 2 * time.Second,
		Faults: []sim.Fault{{Do: sim.Kill, Node: 1, Who: 1, Step: 4, Phase: train.Exchange}}}
	for name, c := range map[string]struct {
		spoil func(*sim.Outcome)
		want  string
	}{
		"a hang":              {func(o *sim.Outcome) { o.Done = nil }, "hangs"},
		"an early end":        {func(o *sim.Outcome) { o.Done.ExitCode = 69 }, "ended with code 69"},
		"another loss":        {func(o *sim.Outcome) { o.Steps[4].Loss = math.Nextafter(o.Steps[4].Loss, 9) }, "step 5: loss"},
		"a step twice":        {func(o *sim.Outcome) { o.Steps = slices.Insert(o.Steps, 3, o.Steps[3]) }, "step 4 was told where 5 was due"},
		"a step unrecorded":   {func(o *sim.Outcome) { o.Steps, o.Done.Step = o.Steps[:9], 9 }, "10 steps are recorded, and 9 were told"},
		"a slot twice":        {func(o *sim.Outcome) { o.Views[1].Members[0].Slots[0] = 5 }, "generation 2"},
		"a sample left out":   {func(o *sim.Outcome) { o.Places = slices.DeleteFunc(o.Places, firstBackward) }, "step 1: "},
		"another generation":  {func(o *sim.Outcome) { o.Steps[8].Generation = 1 }, "step 9 was made in generation 1"},
		"an evaluation twice": {func(o *sim.Outcome) { o.Evals = append(o.Evals, o.Evals[0]) }, "evaluation after step"},
		"another state":       {func(o *sim.Outcome) { o.Checkpoints[last] = o.Checkpoints[8] }, "other bits"},
		"another exit":        {func(o *sim.Outcome) { o.Exits["node-0"] = &agent.Error{Code: 69} }, "node-0 ended with code 69"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := b.play(t, s)
			c.spoil(&out)
			if err := sim.Check(out, b.undisturbed); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("it says %v, want %q", err, c.want)
			}
		})
	}
}

func firstBackward(v sim.Visit) bool {
	return v.Node == "node-0" && v.Phase == train.Backward && v.Step == 1
}

// Nodes whose coordinator never comes back end when their host asks them to, and one of
// them saves the state: wherever they are in a step, and be it that one is dead.
func TestLeaveWithoutCoordinator(t *testing.T) {
	b := newBench(t)
	drained := func(node int) sim.Fault {
		return sim.Fault{Do: sim.Drain, Node: node, Who: sim.Anybody, Step: 6, Phase: train.Backward}
	}
	gone := sim.Fault{Do: sim.Crash, Node: sim.Coordinator, Who: sim.Anybody, Step: 3, Phase: train.Load}
	dead := sim.Fault{Do: sim.Kill, Node: 0, Who: 0, Step: 5, Phase: train.Reduce}
	saves := map[string]string{"all": "step-00000006", "asked before": "step-00000006", "when the ring is broken": "step-00000004"}
	for name, faults := range map[string][]sim.Fault{
		"all":          {gone, drained(0), drained(1), drained(2)},
		"asked before": {drained(0), drained(1), drained(2), {Do: sim.Crash, Who: sim.Anybody, Step: 6, Phase: train.Backward}},
		"when the ring is broken": {gone, dead, {Do: sim.Drain, Node: 1, Who: 0, Step: 5, Phase: train.Reduce, After: 10 * time.Second},
			{Do: sim.Drain, Node: 2, Who: 0, Step: 5, Phase: train.Reduce, After: 10 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sim.Scenario{Seed: 4, Spec: b.spec, Cache: b.cache, Nodes: 3, MinNodes: 1, FailureTimeout: 2 * time.Second, Faults: faults, Dir: t.TempDir()}
			var out sim.Outcome
			synctest.Test(t, func(*testing.T) { out = sim.Run(s) })
			saved := 0
			for node, err := range out.Exits {
				var exit *agent.Error
				if errors.As(err, &exit) && exit.Code == agent.CodeRequeue {
					saved++
				} else if err != nil {
					t.Errorf("%s ended with %v", node, err)
				}
			}
			_, err := os.Stat(filepath.Join(s.Dir, "checkpoints", saves[name]))
			if saved == 0 || err != nil {
				t.Errorf("%d nodes have saved, want %s: %v\n%s", saved, saves[name], err, out.Story)
			}
		})
	}
}

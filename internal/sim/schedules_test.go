package sim_test

import (
	"flag"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parallax/internal/sim"
)

var (
	oneSeed   = flag.Int64("seed", -1, "run only the schedule of this seed, and tell its story")
	schedules = flag.Int("schedules", 0, "how many random schedules to run (default 1000; with -short or the race detector fewer)")
)

// count is how many schedules are run.
func count() int {
	switch {
	case *schedules > 0:
		return *schedules
	case testing.Short() || raceDetector:
		return 40
	}
	return 1000
}

// Whatever goes wrong, every sample is used once, and losses and state are those of
// a run in which nothing did, to the bit.
func TestSchedules(t *testing.T) {
	b := newBench(t)
	if *oneSeed >= 0 {
		out := b.play(t, b.random(uint64(*oneSeed)))
		t.Logf("%s\n%s", faults(out), out.Story)
		return
	}
	var ends tally
	t.Run("seeds", func(t *testing.T) {
		for seed := range uint64(count()) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				ends.add(b.play(t, b.random(seed)))
				if t.Failed() {
					t.Logf("again with: go test ./internal/sim -run Schedules -seed %d", seed)
				}
			})
		}
	})
	t.Log(&ends)
	ends.check(t, count())
}

// random is the scenario of a seed.
func (b *bench) random(seed uint64) sim.Scenario {
	return sim.Random(sim.Scenario{Seed: seed, Spec: b.spec, FailureTimeout: 2 * time.Second, Cache: b.cache})
}

// play runs a scenario in a bubble and holds it against the undisturbed run.
func (b *bench) play(t *testing.T, s sim.Scenario) (out sim.Outcome) {
	t.Helper()
	s.Dir = t.TempDir()
	synctest.Test(t, func(*testing.T) { out = sim.Run(s) })
	if err := sim.Check(out, b.undisturbed); err != nil {
		t.Errorf("%v\n%s\n%s", err, faults(out), out.Story)
	}
	return out
}

func faults(out sim.Outcome) string {
	s := out.Scenario
	lines := []string{fmt.Sprintf("%d nodes, of which %d are needed", s.Nodes, s.MinNodes)}
	for _, f := range s.Faults {
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n  ")
}

// tally counts how schedules have ended, so that it can be seen that they test
// something.
type tally struct {
	mu    sync.Mutex
	ends  map[int32]int
	fired map[sim.Action]int
	views int
	back  int // views that begin before the one before them
}

func (c *tally) add(out sim.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ends == nil {
		c.ends, c.fired = map[int32]int{}, map[sim.Action]int{}
	}
	c.ends[out.Done.GetExitCode()]++
	c.views += len(out.Views)
	for i := range out.Views {
		if i > 0 && out.Views[i].ResumeStep < out.Views[i-1].ResumeStep {
			c.back++
		}
	}
	for _, f := range out.Fired {
		c.fired[f.Do]++
	}
}

func (c *tally) String() string {
	return fmt.Sprintf("exit codes %v, %d views of which %d go back, actions %v", c.ends, c.views, c.back, c.fired)
}

// check wants most runs complete, some not, more views than runs, and some that go back.
func (c *tally) check(t *testing.T, runs int) {
	if c.ends[0] < runs/2 || c.ends[69]+c.ends[75] < runs/100 || c.views < 3*runs/2 || c.back < runs/500 {
		t.Errorf("%v: the schedules are not what they should be", c)
	}
	for action := sim.Kill; action <= sim.Crash; action++ {
		if c.fired[action] < runs/100 {
			t.Errorf("action %d has happened %d times", action, c.fired[action])
		}
	}
}

package cli_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"parallax/record"
)

// coordinatorNow is the coordinator that sim runs now, which is not that of pid.
func (c *process) coordinatorNow(pid int) child {
	c.t.Helper()
	for deadline := time.Now().Add(limit / 2); time.Now().Before(deadline); {
		if found, ok := c.children()["coordinator"]; ok && found.pid != pid {
			return found
		}
	}
	c.t.Fatal("no coordinator was started again")
	return child{}
}

// back reads on to the news that all nodes are back, and returns how long they took
// after the coordinator was.
func (c *process) back(nodes int) time.Duration {
	c.t.Helper()
	crashed := c.until(func(e event) bool { return strings.Contains(e.Text, "back after a crash") })
	whole := c.until(func(e event) bool { return strings.Contains(e.Text, fmt.Sprintf("all %d nodes of generation", nodes)) })
	return whole.Time.Sub(crashed.Time)
}

// recorded are the steps in the ledger of the only run in a place.
func (p place) recorded() []record.Step {
	p.t.Helper()
	ledger, err := record.OpenExisting(p.path("runs/ledger.db"))
	if err != nil {
		p.t.Fatal(err)
	}
	defer ledger.Close()
	run, err := ledger.Run("")
	if err != nil {
		p.t.Fatal(err)
	}
	steps, err := ledger.Steps(run.ID)
	if err != nil {
		p.t.Fatal(err)
	}
	return steps
}

// wantRecord fails the test unless the ledger has each step once, with the losses
// of the undisturbed run.
func (p place) wantRecord(want told) {
	p.t.Helper()
	got := p.recorded()
	if len(got) != len(want.losses) {
		p.t.Fatalf("the ledger has %d steps, want %d", len(got), len(want.losses))
	}
	for i, s := range got {
		if s.Step != int64(i+1) || s.Loss != want.losses[s.Step] {
			p.t.Fatalf("the ledger has step %d with loss %v in place %d, undisturbed it is %v", s.Step, s.Loss, i+1, want.losses[int64(i+1)])
		}
	}
}

// toldOnce fails the test if a step was shown twice.
func (h told) toldOnce(t *testing.T) {
	t.Helper()
	last := int64(0)
	for _, e := range h.all {
		if e.Event == "step" {
			if e.Step != last+1 {
				t.Errorf("step %d was shown after step %d", e.Step, last)
			}
			last = e.Step
		}
	}
}

// The coordinator of a simulated cluster is killed again and again. It comes back,
// training has gone on meanwhile, and nothing is lost.
func TestCoordinatorComesBack(t *testing.T) {
	t.Parallel()
	s := shrink(t, never)
	coordinator := s.children["coordinator"]
	for range 3 {
		coordinator.signal(syscall.SIGKILL)
		t.Logf("the nodes were back %v after the coordinator", s.sim.back(4).Round(time.Millisecond))
		coordinator = s.sim.coordinatorNow(coordinator.pid)
		s.sim.until(func(e event) bool { return e.Event == "step" })
	}
	s.wantRecord(s.wantSame())
	s.sim.told().toldOnce(t)
	if n := strings.Count(s.sim.stderr.String(), "the coordinator was ended by signal: killed; it is started again"); n != 3 {
		t.Errorf("sim told of %d restarts: %s", n, s.sim.stderr.String())
	}
}

// The coordinator and a node are killed together: the others wait for it, and go on.
func TestCoordinatorAndNodeKilled(t *testing.T) {
	t.Parallel()
	s := shrink(t, 2*time.Second) // a coordinator that is back waits five times as long for a member
	s.children["coordinator"].signal(syscall.SIGKILL)
	s.children["node-2"].signal(syscall.SIGKILL)
	if reason := s.view(3); !strings.Contains(reason, "node-2") {
		t.Errorf("the view says %q", reason)
	}
	s.wantRecord(s.wantSame())
}

// A run that ends while the coordinator is away is concluded when it is back.
func TestRunEndsWithoutCoordinator(t *testing.T) {
	t.Parallel()
	p := daemons(t, 1000)
	coordinator, address := p.coordinator("2", "--spec", "run.toml")
	nodes := []*process{p.node("a", address), p.node("b", address)}
	coordinator.untilLine("step   20/1000 ")
	coordinator.signal(syscall.SIGKILL)
	coordinator.wait()
	await(t, "the final checkpoint", func() bool {
		_, err := os.Stat(p.path("run/checkpoints/step-00001000/manifest.json"))
		return err == nil
	})
	back, _ := p.coordinator("2", "--spec", "run.toml", "--listen", address)
	back.wait().want(0)
	for _, n := range nodes {
		n.wait().want(0)
	}
	if said := back.stdout.String(); !strings.Contains(said, "trained 1000 steps") {
		t.Errorf("it said %s", said)
	}
}

func await(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit / 2); !happened(); {
		if time.Now().After(deadline) {
			t.Fatalf("waiting for %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// A coordinator that comes back to another run, or to a damaged store, or to one
// that another has, is refused with the reason, and changes nothing.
func TestCoordinatorIsRefused(t *testing.T) {
	t.Parallel()
	p := daemons(t, 100000)
	coordinator, address := p.coordinator("1", "--spec", "run.toml")
	node := p.node("a", address)
	coordinator.untilLine("step     20/100000 ")
	again := func(args ...string) *process {
		return p.startAs("coordinator", append([]string{"--gossip", "127.0.0.1:0", "--listen", "127.0.0.1:0",
			"--run-dir", "run", "--http=", "--spec", "run.toml", "--nodes", "1"}, args...)...).wait()
	}
	again().refuses(2, "another coordinator has the run", fmt.Sprint(coordinator.cmd.Process.Pid))
	coordinator.signal(syscall.SIGKILL)
	coordinator.wait()
	again("--nodes", "2").refuses(2, "--nodes is 1 there and 2 here")
	again("--failure-timeout", "3s").refuses(2, "--failure-timeout is", "3s here")
	p.write("other.toml", strings.Replace(fmt.Sprintf(specText, 100000, 0), "width = 32", "width = 64", 1))
	again("--spec", "other.toml").refuses(2, "model.width is 32 there and 64 here")
	node.signal(syscall.SIGKILL)
	node.wait()

	whole, err := os.ReadFile(p.path("ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(p.path("ledger.db-wal"))
	_ = os.Remove(p.path("ledger.db-shm"))
	for name, damage := range map[string][]byte{
		"truncated": whole[:len(whole)/2],
		"foreign":   []byte("not a database, but long enough to be taken for one by a careless reader of files ................"),
	} {
		if err := os.WriteFile(p.path("ledger.db"), damage, 0o644); err != nil {
			t.Fatal(err)
		}
		again().refuses(2, "ledger.db")
		if left, _ := os.ReadFile(p.path("ledger.db")); string(left) != string(damage) {
			t.Errorf("%s: the file was changed", name)
		}
	}
}

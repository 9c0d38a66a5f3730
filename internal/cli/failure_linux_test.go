package cli_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	// failureTimeout is how long clusters wait for a silent node. It is long enough for a
	// busy machine to let everybody say something in it.
	failureTimeout = 5 * time.Second
	// never is a failure timeout that no test lives to see the end of: where a cluster gets
	// on although a node is lost, it was not for the node's silence.
	never = 10 * limit
)

// disturbed is a run of three nodes that is to be disturbed after step 30.
type disturbed struct {
	place
	sim      *process
	children map[string]child
}

func disturb(t *testing.T) disturbed {
	t.Helper()
	p := newPlace(t, "PARALLAX_FAILURE_TIMEOUT="+never.String())
	c := p.start(append([]string{"sim", "--nodes", "3"}, p.lasting()...)...)
	c.untilStep(30)
	children := c.children()
	if len(children) != 4 {
		t.Fatalf("a cluster of three nodes has the processes %v", children)
	}
	return disturbed{p, c, children}
}

// goesOn resumes the run, of which no step that was told may be lost, and holds
// the whole against the undisturbed one.
func (d disturbed) goesOn(before told) {
	d.t.Helper()
	newest := filepath.Base(d.newestCheckpoint())
	if _, err := fmt.Sscanf(newest, "step-%d", &before.done.Step); err != nil {
		d.t.Fatal(err)
	}
	for step := range before.losses {
		if step > before.done.Step {
			d.t.Errorf("step %d was told, but the newest checkpoint is %s", step, newest)
		}
	}
	after := d.stopAfter(before.done.Step+30, "sim", "--nodes", "3", "--resume", "--http=", "--json")
	checkSameEnd(d.t, undisturbed(d.t, "3", after), before, after)
}

func (d disturbed) newestCheckpoint() string {
	d.t.Helper()
	found, err := filepath.Glob(d.path("runs/*/checkpoints/step-*"))
	if err != nil || len(found) == 0 {
		d.t.Fatalf("no checkpoint was left (%v): %s", err, d.files())
	}
	return found[len(found)-1]
}

// A run that loses a process ends at once, with exit code 69 and the state of the last
// applied step, names who it was, leaves no process, and goes on by --resume to
// the bits of the undisturbed run.
func TestLosingAProcess(t *testing.T) {
	t.Parallel()
	for _, victim := range []string{"node-1", "node-0"} {
		t.Run(victim, func(t *testing.T) {
			t.Parallel()
			d := disturb(t)
			d.children[victim].signal(syscall.SIGKILL)
			before := d.sim.wait().want(69).told()
			allGone(d.children, 0)
			if !strings.Contains(before.done.Reason, victim) || before.done.ExitCode != 69 {
				t.Errorf("it ended with code %d: %s", before.done.ExitCode, before.done.Reason)
			}
			if found := d.newestCheckpoint(); before.done.Checkpoint != found {
				t.Errorf("it told of the checkpoint %q, but the newest is %q", before.done.Checkpoint, found)
			}
			d.goesOn(before)
		})
	}
}

// A node that stands still, and without which the others cannot go on, is waited for and
// taken up again, also when its stream to the coordinator has broken meanwhile.
func TestStoppedNode(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "PARALLAX_FAILURE_TIMEOUT=1s")
	c := p.start(append([]string{"sim", "--nodes", "3"}, p.lasting()...)...)
	c.untilStep(30)
	stopped := c.children()["node-2"]
	stopped.signal(syscall.SIGSTOP)
	c.until(func(e event) bool { return strings.Contains(e.Text, "1 silent (node-2)") })
	stopped.signal(syscall.SIGCONT)
	c.untilStep(31)
	c.signal(syscall.SIGINT)
	after := c.wait().want(0).told()
	for step, loss := range undisturbed(t, "3", after).losses {
		if after.losses[step] != loss {
			t.Errorf("step %d has the loss %v, undisturbed %v", step, after.losses[step], loss)
		}
	}
}

// Nothing outlives a simulated cluster's own process.
func TestNothingOutlivesSim(t *testing.T) {
	t.Parallel()
	d := disturb(t)
	d.sim.signal(syscall.SIGKILL)
	allGone(d.children, limit)
}

// A node that can neither train nor reach its coordinator waits for that, then
// saves what it holds and ends with 69.
func TestNodeWithoutAnybody(t *testing.T) {
	t.Parallel()
	p := daemons(t, 100000)
	coordinator, address := p.coordinator("2", "--spec", "run.toml", "--failure-timeout", "400ms")
	a, b := p.node("a", address), p.node("b", address)
	coordinator.untilLine("step     20/100000 ")
	coordinator.signal(syscall.SIGKILL)
	coordinator.wait()
	await(t, "the node to miss its coordinator", func() bool { return strings.Contains(a.stderr.String(), "training goes on without it") })
	b.signal(syscall.SIGKILL)
	b.wait()
	a.wait().want(69)
	for _, words := range []string{"training goes on without it", "waiting up to 12s for the coordinator to come back",
		"the coordinator at " + address + " is gone", "did not come back within 12s", "is saved, go on from there with --resume"} {
		if said := a.stderr.String(); !strings.Contains(said, words) {
			t.Errorf("the node said %s\nwhich lacks %q", said, words)
		}
	}
	if left, _ := filepath.Glob(p.path("run/checkpoints/step-*")); len(left) != 1 {
		t.Errorf("the node left the checkpoints %v, want one", left)
	}
}

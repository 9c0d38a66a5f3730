package cli_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shrinking is a run of four nodes that two can finish.
type shrinking struct {
	place
	sim      *process
	children map[string]child
}

const lossAt = 30

// exact are the flags of a run whose bits do not depend on the world.
var exact = []string{"--set", "train.reduction=sum-exact"}

// shrink starts the run, which waits so long for a silent node, and returns once it has
// made some steps.
func shrink(t *testing.T, timeout time.Duration) shrinking {
	t.Helper()
	p := newPlace(t, "PARALLAX_FAILURE_TIMEOUT="+timeout.String())
	c := p.start(slices.Concat([]string{"sim", "--nodes", "4", "--min-nodes", "2"}, p.lasting(), exact)...)
	c.untilStep(lossAt)
	return shrinking{p, c, c.children()}
}

// view reads on to the first view of so many members, and to its first step, and
// returns its sentence.
func (s *shrinking) view(members int) string {
	s.t.Helper()
	view := s.sim.until(func(e event) bool { return e.Event == "view" && len(e.Members) == members })
	s.sim.until(func(e event) bool { return e.Event == "step" && e.World == members })
	return view.Reason
}

// wantSame stops the run, whose end must be a good one, and holds it against one that is
// not disturbed, which it returns.
func (s *shrinking) wantSame() (want told) {
	s.t.Helper()
	s.sim.signal(syscall.SIGINT)
	got := s.sim.wait().want(0).told()
	want = undisturbed(s.t, "1", got, exact...)
	if int64(len(got.losses)) != got.done.Step {
		s.t.Fatalf("%d steps were told and %d made", len(got.losses), got.done.Step)
	}
	for step, loss := range want.losses {
		if got.losses[step] != loss {
			s.t.Fatalf("step %d: loss %v, undisturbed %v", step, got.losses[step], loss)
		}
	}
	if stateOf(s.t, got.done.Checkpoint) != stateOf(s.t, want.done.Checkpoint) {
		s.t.Error("its last checkpoint has other bits than that of the undisturbed run")
	}
	allGone(s.children, 0)
	return want
}

// A simulated cluster that needs only two of its four nodes goes on when it loses
// some, and ends with exit code 0 and the bits of a run that lost nobody.
func TestGoingOnWithout(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		signal  syscall.Signal
		victims []string
		says    string
		timeout time.Duration
	}{
		{"killed", syscall.SIGKILL, []string{"node-2"}, "node-2 ", never},
		{"first killed", syscall.SIGKILL, []string{"node-0"}, "node-0 ", never},
		{"two killed", syscall.SIGKILL, []string{"node-1", "node-3"}, "2 of ", never},
		{"stopped", syscall.SIGSTOP, []string{"node-1"}, "node-1 ", failureTimeout},
		{"drained", syscall.SIGTERM, []string{"node-3"}, "node-3 leaves", never},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := shrink(t, c.timeout)
			began := time.Now()
			for _, name := range c.victims {
				s.children[name].signal(c.signal)
			}
			reason := s.view(4 - len(c.victims))
			t.Logf("%v from the signal to the end of the next view's first step", time.Since(began).Round(time.Millisecond))
			if !strings.Contains(reason, c.says) {
				t.Errorf("the view says %q, want %q", reason, c.says)
			}
			s.wantSame()
		})
	}
}

// A node that is started again takes part again.
func TestComingBack(t *testing.T) {
	t.Parallel()
	s := shrink(t, never)
	s.children["node-2"].signal(syscall.SIGKILL)
	s.view(3)
	files, _ := filepath.Glob(s.path("runs/*/coordinator.address"))
	if len(files) != 1 {
		t.Fatalf("the addresses of coordinators are in %v, want one file", files)
	}
	address, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	back := s.node("node-2", strings.TrimSpace(string(address)))
	s.view(4)
	s.wantSame()
	back.wait().want(0)
}

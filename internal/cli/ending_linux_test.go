package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// endless starts a cluster that trains until it is stopped.
func (p place) endless(nodes, minNodes string) *process {
	p.t.Helper()
	c := p.start(append([]string{"sim", "--nodes", nodes, "--min-nodes", minNodes}, p.writeRun(100000, 0)...)...)
	c.untilStep(20)
	return c
}

// killChildren kills all processes that a command has started, as they come and go,
// until it has killed so many coordinators or the command has ended.
func (c *process) killChildren(coordinators int) {
	c.t.Helper()
	self := adopt(c.t, c.cmd.Process.Pid)
	killed := map[int]bool{}
	for deadline := time.Now().Add(limit / 2); len(killed) < coordinators && !self.ended(); {
		if time.Now().After(deadline) {
			c.t.Fatalf("%d coordinators were killed, and the command neither ended nor started another one", len(killed))
		}
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", self.pid))
		for _, file := range files {
			text, _ := os.ReadFile(file)
			for _, field := range strings.Fields(string(text)) {
				line, _ := os.ReadFile("/proc/" + field + "/cmdline") // empty: it has ended; the command's own: it has not begun
				coordinator := strings.Contains(string(line), "\x00coordinator\x00")
				pid, _ := strconv.Atoi(field)
				if (coordinator || strings.Contains(string(line), "\x00node\x00")) && syscall.Kill(pid, syscall.SIGKILL) == nil && coordinator {
					killed[pid] = true
				}
			}
		}
	}
}

// ended says whether the process has, without waiting.
func (c child) ended() bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}}, 1)
	return n > 0 && err == nil
}

// A simulated cluster whose processes were all killed, more than once, ends when it
// is told to, as one that was not.
func TestInterruptedWithoutAnybody(t *testing.T) {
	t.Parallel()
	for _, minNodes := range []string{"3", "1"} {
		t.Run("min-nodes "+minNodes, func(t *testing.T) {
			t.Parallel()
			c := newPlace(t, "PARALLAX_FAILURE_TIMEOUT=1s").endless("3", minNodes)
			c.killChildren(2)
			c.signal(syscall.SIGTERM)
			if end := c.wait().want(0).told().done; !strings.Contains(end.Reason, "interrupted") {
				t.Errorf("it ended with %+v", end)
			}
		})
	}
}

// A simulated cluster in which one node cannot take part ends with the reason: nobody
// starts another one here.
func TestOneNodeCannotTakePart(t *testing.T) {
	t.Parallel()
	for _, minNodes := range []string{"3", "1"} {
		t.Run("min-nodes "+minNodes, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, unfitVariable+"=node-1")
			c := p.start(append([]string{"sim", "--nodes", "3", "--min-nodes", minNodes}, p.writeRun(100000, 0)...)...).wait().want(2)
			for _, words := range []string{"node-1 exited with code 2", "node node-1 cannot prepare the data"} {
				if said := c.stderr.String(); !strings.Contains(said, words) {
					t.Errorf("it said %s\nwhich lacks %q", said, words)
				}
			}
		})
	}
}

// A coordinator that is killed whenever it is started is not waited for for ever,
// whether sim is interrupted or not.
func TestCoordinatorNeverComesBack(t *testing.T) {
	t.Parallel()
	for _, interrupt := range []bool{false, true} {
		t.Run(fmt.Sprintf("interrupted %t", interrupt), func(t *testing.T) {
			t.Parallel()
			c := newPlace(t).endless("3", "1")
			c.killChildren(2)
			if interrupt {
				c.signal(syscall.SIGTERM)
			}
			c.killChildren(1000)
			c.wait().want(69)
			if said := c.stderr.String(); !strings.Contains(said, "--resume goes on from its newest checkpoint") {
				t.Errorf("it said %s", said)
			}
		})
	}
}

// A coordinator that hangs, be it that it has answered before, is killed with all its nodes
// when sim is interrupted and hears nothing for a while.
func TestInterruptedWhileHanging(t *testing.T) {
	t.Parallel()
	for name, answers := range map[string]bool{"answers never": false, "answers once": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newPlace(t).endless("2", "0")
			all := c.children()
			if answers {
				all["node-0"].stop() // so that the step under way has no end
				c.signal(syscall.SIGINT)
				c.until(func(e event) bool { return strings.Contains(e.Text, "stopping after the step under way") })
				all["coordinator"].stop()
			} else {
				all["coordinator"].stop()
				c.signal(syscall.SIGINT)
			}
			if c.wait().want(69); !strings.Contains(c.stderr.String(), "did not answer within 15s") {
				t.Errorf("it said %s", c.said())
			}
			allGone(all, limit)
		})
	}
}

// A second signal ends sim and all that it has started at once, also where the coordinator
// hangs.
func TestInterruptedTwice(t *testing.T) {
	t.Parallel()
	c := newPlace(t).endless("2", "0")
	all, self := c.children(), adopt(t, c.cmd.Process.Pid)
	all["coordinator"].stop()
	for !self.ended() {
		c.signal(syscall.SIGINT)
	}
	if c.wait(); c.cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGINT {
		t.Errorf("it ended with %v: %s", c.cmd.ProcessState, c.said())
	}
	allGone(all, limit)
}

// Who follows a run from afar waits for its coordinator, and says how long.
func TestFollowerLosesPatience(t *testing.T) {
	t.Parallel()
	p := daemons(t, 100000)
	coordinator, address := p.coordinator("1", "--spec", "run.toml")
	node := p.node("a", address)
	follower := p.start("train", "--coordinator", address, "--follow", "--json", "--patience", "200ms")
	follower.untilStep(20)
	coordinator.signal(syscall.SIGKILL)
	coordinator.wait()
	follower.wait().want(69)
	for _, words := range []string{"is away; waiting up to 200ms", "did not come back within 200ms", "--follow"} {
		if said := follower.stderr.String(); !strings.Contains(said, words) {
			t.Errorf("it said %q, which lacks %q", said, words)
		}
	}
	node.signal(syscall.SIGKILL)
	node.wait()
}

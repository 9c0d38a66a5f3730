package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// coordinator starts one without a run, or with the place's, for n nodes.
func (p place) coordinator(n string, flags ...string) (*process, string) {
	p.t.Helper()
	c := p.startAs("coordinator", append([]string{"--listen", "127.0.0.1:0", "--gossip", "127.0.0.1:0", "--http=", "--run-dir", "run", "--nodes", n}, flags...)...)
	return c, c.address()
}

// node starts one.
func (p place) node(name, coordinator string, flags ...string) *process {
	p.t.Helper()
	return p.startAs("node", append([]string{"--coordinator", coordinator, "--name", name, "--threads", "1"}, flags...)...)
}

// daemons is a place whose coordinator reads run.toml, with text.txt as its data.
func daemons(t *testing.T, steps int) place {
	t.Helper()
	p := newPlace(t)
	p.env = append(p.env, "PARALLAX_DATA_PATH="+p.path("text.txt"))
	p.writeRun(steps, 0)
	return p
}

func TestSubmitAndFollow(t *testing.T) {
	t.Parallel()
	p := daemons(t, 30)
	c, address := p.coordinator("2")
	nodes := []*process{p.node("a", address), p.node("b", address)}
	submitted := p.run("train", "--coordinator", address, "--config", "run.toml", "--name", "by hand", "--json").want(0)
	h := submitted.told()
	if len(h.losses) != 30 || h.done.Step != 30 || h.done.Checkpoint == "" {
		t.Errorf("train --json told of %d steps and %+v", len(h.losses), h.done)
	}
	if said := submitted.stderr.String(); !strings.HasPrefix(said, "run "+h.run+", in "+p.path("run")) {
		t.Errorf("on submitting it said %q", said)
	}
	for _, n := range append(nodes, c) {
		n.wait().want(0)
	}
	if said := c.stdout.String(); !strings.Contains(said, "waiting for 2 nodes and a run: submit it with parallax train --coordinator "+address) {
		t.Errorf("the coordinator said %q", said)
	}
	if shown := p.run("runs", "show", "--ledger", "ledger.db").want(0).stdout.String(); !strings.Contains(shown, "by hand") {
		t.Errorf("the record is\n%s", shown)
	}
}

func TestDetachFollowAndStop(t *testing.T) {
	t.Parallel()
	p := daemons(t, 100000)
	c, address := p.coordinator("1")
	n := p.node("a", address)
	if out := p.run("train", "--coordinator", address, "--config", "run.toml", "--detach").want(0).stdout.String(); out != "" {
		t.Errorf("train --detach printed %q", out)
	}
	p.run("train", "--coordinator", address, "--config", "run.toml").refuses(2, address, "has the run", "start another coordinator")
	follower := p.start("train", "--coordinator", address, "--follow", "--json")
	follower.untilStep(5)
	left := p.start("train", "--coordinator", address, "--follow", "--json")
	left.untilStep(1)
	left.signal(syscall.SIGINT) // ends the watching, never the run
	left.wait().want(0)
	p.run("train", "--coordinator", address, "--stop").want(0)
	h := follower.wait().want(0).told()
	if !strings.Contains(h.done.Reason, "asked for on the command line") || filepath.Base(h.done.Checkpoint) != stepName(h.done.Step) {
		t.Errorf("the run ended with %+v", h.done)
	}
	n.wait().want(0)
	c.wait().want(0)
}

// A scheduler's warning, to the coordinator or to a node, saves and asks to be
// requeued.
func TestRequeue(t *testing.T) {
	t.Parallel()
	for name, warn := range map[string]func(coordinator, node *process){
		"SIGUSR1 to the coordinator": func(c, _ *process) { c.signal(syscall.SIGUSR1) },
		"SIGTERM to a node":          func(_, n *process) { n.signal(syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := daemons(t, 100000)
			c, address := p.coordinator("2", "--spec", "run.toml")
			nodes := []*process{p.node("a", address), p.node("b", address)}
			c.untilLine("step      5/100000 ")
			warn(c, nodes[1])
			for _, each := range append(nodes, c) {
				each.wait().want(75)
			}
			if left, _ := filepath.Glob(p.path("run/checkpoints/step-*")); len(left) != 1 {
				t.Errorf("left the checkpoints %v, want one", left)
			}
		})
	}
}

// Nodes that do not fit the run are told why, and the coordinator waits on for
// others until it is stopped.
func TestRefusedNodes(t *testing.T) {
	t.Parallel()
	p := daemons(t, 30)
	text, err := os.ReadFile(p.path("run.toml"))
	if err != nil {
		t.Fatal(err)
	}
	p.write("other.toml", strings.Replace(string(text), "ffn = 32", "ffn = 64", 1))
	c, address := p.coordinator("2", "--spec", "run.toml")
	p.node("a", address, "--spec", "other.toml").wait().refusesLast(2, "model.ffn is 64 there and 32 in the run", "start it without a spec")
	launched := place{t, p.dir, append(p.env, "RANK=2", "WORLD_SIZE=3")}
	launched.node("b", address).wait().refusesLast(2, "world of 3", "2 nodes", "WORLD_SIZE")
	c.signal(syscall.SIGTERM)
	c.wait().want(0)
	for _, words := range []string{"refused a node: a was started with another spec", "stopped before the run started"} {
		if !strings.Contains(c.stdout.String(), words) {
			t.Errorf("the coordinator did not say %q:\n%s", words, c.said())
		}
	}
}

// A node that is told the run's own spec is let in, and a run can be resumed with
// the same command that began it.
func TestSameSpecAndResume(t *testing.T) {
	t.Parallel()
	p := daemons(t, 20)
	for _, flags := range [][]string{{"--spec", "run.toml"}, {"--spec", "run.toml", "--resume"}} {
		c, address := p.coordinator("1", flags...)
		p.node("a", address, "--spec", "run.toml").wait().want(0)
		c.wait().want(0)
		if said := c.stdout.String(); !strings.Contains(said, "trained 20 steps") {
			t.Errorf("it said\n%s", said)
		}
	}
	again := []string{"--listen", "127.0.0.1:0", "--gossip", "127.0.0.1:0", "--http=", "--run-dir", "run"}
	complete := p.startAs("coordinator", append(again, "--spec", "run.toml")...).wait().want(0)
	if said := complete.stdout.String(); !strings.Contains(said, "is complete (trained 20 steps): its result is in "+p.path("run/checkpoints")) {
		t.Errorf("started again as it was, it said\n%s", said)
	}
	p.writeRun(21, 0)
	p.startAs("coordinator", append(again, "--spec", "run.toml")...).wait().refuses(2, "had other settings", "--run-dir")
	p.startAs("coordinator", append(again, "--spec", "run.toml", "--resume")...).wait().refuses(2,
		"had other settings (train.steps is 20, not 21)", "with --spec", "another --run-dir")
}

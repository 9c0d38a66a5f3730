package sim

import (
	"math/rand/v2"
	"time"

	"parallax/internal/agent"
	"parallax/internal/train"
)

// Random fills in a scenario's nodes and faults from its seed: clusters of two to
// four, of which one to all are needed, and one to four things that go wrong, each
// of which may be followed by the node's return, and by its death while it fetches, or by
// another's who may be its source; or the coordinator crashes, once or twice, and comes
// back.
func Random(s Scenario) Scenario {
	d := &dice{rand.New(rand.NewPCG(s.Seed, 7)), &s}
	s.Nodes = 2 + d.IntN(3)
	s.MinNodes = 1 + min(d.IntN(s.Nodes), d.IntN(s.Nodes))
	for range 1 + d.IntN(4) {
		d.mishap()
	}
	return s
}

type dice struct {
	*rand.Rand
	s *Scenario
}

// mishap adds a fault and what follows from it.
func (d *dice) mishap() {
	f := d.place(Fault{Node: d.IntN(d.s.Nodes)})
	switch roll := d.IntN(100); {
	case roll < 32:
		f.Do = Kill
		d.lose(f)
	case roll < 40:
		d.tear(f)
	case roll < 50:
		f.Do, f.For = Freeze, d.span(4*d.s.FailureTimeout)
		d.lose(f)
	case roll < 58:
		f.Do = Drain
		d.lose(f)
	case roll < 72:
		f.Do, f.For, f.Peer = Cut, d.span(6*d.s.FailureTimeout), d.other(f.Node)
		d.lose(f)
	case roll < 78:
		f.Do, f.For, f.Peer, f.Extra = Slow, d.span(6*d.s.FailureTimeout), d.other(f.Node), d.span(d.s.FailureTimeout/20)
		d.add(f)
	default:
		d.crash(f)
	}
}

// tear has a node die when the first one is about to apply a step, so that others may
// have to do without, and then some of those who have applied it, before or while they
// hand their state on.
func (d *dice) tear(f Fault) {
	f.Do, f.Phase, f.Who = Kill, train.Apply, Anybody
	d.lose(f)
	next := Fault{Do: Kill, Node: Anybody, Who: Anybody, Step: f.Step, Phase: agent.Fetch}
	for range 1 + d.IntN(2) {
		d.add(next)
	}
	if d.IntN(4) == 0 {
		next.After = time.Duration(d.Int64N(int64(maxLatency)))
		d.add(next)
	}
}

// crash adds a crash of the coordinator, where a node is or where it is itself, and
// perhaps another soon after.
func (d *dice) crash(f Fault) {
	f.Do, f.Node, f.For = Crash, Coordinator, d.span(4*d.s.FailureTimeout)
	if d.IntN(2) == 0 {
		phases := []train.Phase{Keep, Order, Tell, End}
		f.Phase, f.Who = phases[d.IntN(len(phases))], Coordinator
	}
	d.add(f)
	if d.IntN(4) == 0 {
		f.After, f.For = f.For+d.span(d.s.FailureTimeout), d.span(d.s.FailureTimeout)
		d.add(f)
	}
}

// place says where in the run a fault happens: mostly where its own node is.
func (d *dice) place(f Fault) Fault {
	phases := []train.Phase{train.Load, train.Backward, train.Reduce, train.Exchange, train.Update, train.Apply, train.Applied, agent.Checkpoint}
	f.Phase, f.Step, f.Who = phases[d.IntN(len(phases))], 1+d.Int64N(int64(d.s.Spec.Train.Steps)), f.Node
	if d.IntN(4) == 0 || f.Phase == agent.Checkpoint {
		f.Who = Anybody
	}
	return f
}

// lose adds a fault that may cost a node, and perhaps its return.
func (d *dice) lose(f Fault) {
	d.add(f)
	switch d.IntN(3) {
	case 0: // after some more steps
		d.add(Fault{Do: Launch, Node: f.Node, Who: Anybody, Step: f.Step + d.Int64N(4), Phase: train.Load})
	case 1: // after some time, also where no more steps are made
		f.Do, f.After = Launch, d.span(4*d.s.FailureTimeout)
		d.add(f)
	default:
		return
	}
	if d.IntN(4) == 0 {
		d.add(Fault{Do: Kill, Node: f.Node, Who: f.Node, Step: f.Step, Phase: agent.Fetch})
	}
}

func (d *dice) add(f Fault) { d.s.Faults = append(d.s.Faults, f) }

// other is the other end of an edge: a node, or the coordinator.
func (d *dice) other(node int) int {
	if peer := d.IntN(d.s.Nodes); peer != node {
		return peer
	}
	return Coordinator
}

func (d *dice) span(most time.Duration) time.Duration {
	return time.Millisecond + time.Duration(d.Int64N(int64(most))).Round(time.Millisecond)
}

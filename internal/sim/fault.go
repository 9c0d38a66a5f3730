package sim

import (
	"fmt"
	"time"

	"parallax/internal/agent"
	"parallax/internal/train"
)

// Fault is something that happens once, when a node comes to a place for the first
// time: phase Phase of a step that is Step or later.
type Fault struct {
	Do    Action
	Node  int           // to whom; Anybody: to who has come to the place
	Peer  int           // the other end of an edge that is cut or slowed, may be Coordinator
	For   time.Duration // after which Freeze, Cut, Slow and Crash are undone; 0: never, for Crash
	Extra time.Duration // latency, of Slow

	Who   int // who has to come to the place; Anybody: whichever node is the first
	Step  int64
	Phase train.Phase
	After time.Duration // and then so much later
}

// Those who are not a node.
const (
	Coordinator = -1
	Anybody     = -2
)

// Action is what a fault does.
type Action int

// The actions.
const (
	Kill   Action = iota // the node dies
	Freeze               // it stands still, in the middle of its step
	Cut                  // nothing crosses an edge
	Slow                 // everything that crosses an edge takes longer
	Drain                // its host asks it to leave
	Launch               // it is started again, if it has ended
	Crash                // the coordinator dies, whichever Node is
)

func (f Fault) String() string {
	return fmt.Sprintf("%s: %s", f.place(), f.what())
}

func (f Fault) place() string {
	who := nodeName(f.Who)
	if f.Who == Anybody {
		who = "the first node"
	}
	where := fmt.Sprintf("when %s comes to %s of step %d", who, f.Phase, f.Step)
	if f.After > 0 {
		return fmt.Sprintf("%v after %s", f.After, where)
	}
	return where
}

func (f Fault) what() string {
	who, peer := nodeName(f.Node), nodeName(f.Peer)
	if f.Node == Anybody {
		who = "that node"
	}
	switch f.Do {
	case Kill:
		return who + " is killed"
	case Freeze:
		return fmt.Sprintf("%s stands still for %v", who, f.For)
	case Cut:
		return fmt.Sprintf("nothing crosses between %s and %s for %v", who, peer, f.For)
	case Slow:
		return fmt.Sprintf("the way between %s and %s takes %v longer for %v", who, peer, f.Extra, f.For)
	case Drain:
		return who + " is asked to leave"
	case Launch:
		return who + " is started again"
	case Crash:
		return fmt.Sprintf("the coordinator crashes, for %v", f.For)
	}
	return fmt.Sprintf("action %d", f.Do)
}

// due reports whether a node that has come to a place makes the fault happen.
func (f Fault) due(node int, at agent.Place) bool {
	return (f.Who == node || f.Who == Anybody && node != Coordinator) && at.Phase == f.Phase && at.Step >= f.Step
}

func nodeName(i int) string {
	if i == Coordinator {
		return "coordinator"
	}
	return fmt.Sprint("node-", i)
}

// nodeIndex undoes nodeName.
func nodeIndex(name string) int {
	var i int
	if _, err := fmt.Sscanf(name, "node-%d", &i); err != nil {
		return Coordinator
	}
	return i
}

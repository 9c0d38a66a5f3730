package coord

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"parallax/internal/config"
	pb "parallax/proto/parallax/v1"
	"parallax/shard"
)

// world is a core and nodes that train, die, hang, come and go at random, and a
// store from which the core comes back.
type world struct {
	*rand.Rand
	t         *testing.T
	config    Config
	core      *Core // nil: it has crashed
	store     fakeStore
	crashes   int
	saved     int64 // the newest checkpoint
	mishaps   int   // how rare they are
	queue     []Event
	doomed    bool // it crashes within what it decides next
	now       time.Time
	nodes     []*fake
	conns     map[Conn]*fake
	view      *pb.View // the newest
	published int64    // steps, as far as the core knows
	anew      bool     // the state was lost with all who had it, so steps are made again
	lacks     bool     // and the core has said that some lack in the record
	done      *pb.Done
	left      int // how many nodes could go on then, see well
	followed  int // joiners that came in with the state that they had fetched beside the run
	carried   int // joiners that took it in the ring
	back      int // views that begin at an earlier step, since nobody was left who held the later one
	dealt     int // views whose slots were dealt by measured speed
}

const (
	worldSteps = 40
	worldSlots = 8
	worldNodes = 5
)

func newWorld(t *testing.T, spec config.Spec, seed uint64) *world {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 1)), t: t, now: time.Unix(1_700_000_000, 0), conns: map[Conn]*fake{}}
	w.mishaps = 3 << w.IntN(4)
	w.config = Config{Nodes: worldNodes, MinNodes: 1 + w.IntN(3), FailureTimeout: time.Second, StragglerFactor: 1.5}
	w.core = New(w.config)
	w.feed(tickAt(w.now))
	w.feed(Submitted{Job: Job{ID: "r", Dir: "/r", Submission: Submission{Spec: spec}}})
	for i := range worldNodes {
		w.come(fmt.Sprint("n", i))
	}
	return w
}

// feed has the core take an event, behind those that it is about to take.
func (w *world) feed(e Event) {
	if w.done != nil || w.core == nil {
		return
	}
	w.queue = append(w.queue, e)
	if len(w.queue) > 1 {
		return
	}
	for len(w.queue) > 0 && w.done == nil {
		w.take(w.queue[0])
		w.queue = w.queue[min(1, len(w.queue)):]
	}
}

func (w *world) take(e Event) {
	decisions := w.core.Step(e)
	w.tell(e, decisions)
	if w.doomed && len(decisions) > 0 {
		w.breakDown(decisions)
		return
	}
	for _, d := range decisions {
		w.carryOut(d)
	}
}

func (w *world) carryOut(d Decision) {
	switch d := d.(type) {
	case Send:
		if n := w.conns[d.Conn]; n != nil && n.link.conn == d.Conn {
			w.obey(n, d.Message)
		}
	case Keep:
		w.keep(d.State)
	case Publish:
		w.note(d.Event)
	}
}

// note checks what the core tells the world.
func (w *world) note(e *pb.RunEvent) {
	w.store.open.add(e)
	switch k := e.Kind.(type) {
	case *pb.RunEvent_View:
		if k.View.Generation <= w.store.view {
			w.t.Errorf("generation %d is told after generation %d", k.View.Generation, w.store.view)
		}
		w.store.view = k.View.Generation
	case *pb.RunEvent_Step:
		if k.Step.Step != w.published+1 {
			w.t.Errorf("step %d is told after step %d", k.Step.Step, w.published)
		}
		w.published = k.Step.Step
	case *pb.RunEvent_Notice:
		w.anew = w.anew || strings.Contains(k.Notice.Text, "waiting 30s for nodes to go on from the newest checkpoint")
		w.lacks = w.lacks || strings.Contains(k.Notice.Text, "lack in the record")
	case *pb.RunEvent_Done:
		w.done, w.left = k.Done, w.well()
	}
}

// member is who has a place in a view.
func (w *world) member(m *pb.Member) *fake { return w.nodes[m.Incarnation-1] }

// check sees that a view loses no step, deals each slot once, and has a source that
// holds what the others are told to fetch.
func (w *world) check(v *pb.View) {
	if strings.Contains(v.Reason, "by measured speed") {
		w.dealt++
	}
	if w.anew && (v.ResumeStep <= w.published || w.lacks) {
		w.published, w.anew, w.lacks = v.ResumeStep, false, false
	}
	if v.ResumeStep < w.published && w.heldBefore() <= v.ResumeStep {
		w.back, w.published = w.back+1, v.ResumeStep
	}
	if v.ResumeStep != w.published {
		w.t.Errorf("generation %d begins at step %d, but %d are told", v.Generation, v.ResumeStep, w.published)
	}
	for _, m := range v.Members {
		n := w.member(m)
		if n.gone {
			w.t.Errorf("generation %d has %s, which is gone", v.Generation, n.name)
		}
		if n.order != nil && m.Fetch {
			w.carried++
		} else if n.order != nil {
			w.followed++
		}
		has := n.step == v.ResumeStep && n.state == fmt.Sprint("s", v.ResumeStep)
		if known := has && n.order == nil; !has && !m.Fetch || known && m.Fetch {
			w.t.Errorf("generation %d: %s holds step %d as %q, and fetches step %d: %t", v.Generation, n.name, n.step, n.state, v.ResumeStep, m.Fetch)
		}
	}
	if err := shard.CheckDeal(dealOf(v), worldSlots); err != nil {
		w.t.Errorf("generation %d: %v", v.Generation, err)
	}
	if v.Members[v.SourceRank].Fetch {
		w.t.Errorf("generation %d: the source fetches", v.Generation)
	}
}

// heldBefore is the highest step that a node of the view before holds, of those who can
// say so.
func (w *world) heldBefore() (highest int64) {
	for _, m := range w.view.Members {
		if n := w.member(m); n.there() && n.generation == w.view.Generation && n.state != "" {
			highest = max(highest, n.step)
		}
	}
	return highest
}

func (w *world) pass(d time.Duration) {
	w.now = w.now.Add(d)
	w.feed(tickAt(w.now))
	for _, n := range w.nodes {
		if n.link.open && !n.silent {
			w.feed(Received{n.link.conn, &pb.NodeMessage{Kind: &pb.NodeMessage_Heartbeat{Heartbeat: &pb.Heartbeat{}}}})
		}
	}
}

package sim

import (
	"context"
	"fmt"
	"sync"
	"time"

	"parallax/internal/agent"
	"parallax/internal/sim/simnet"
	"parallax/internal/train"
	pb "parallax/proto/parallax/v1"
)

// world is a cluster while it runs.
type world struct {
	Scenario
	story *story
	net   *simnet.Network
	lives sync.WaitGroup // of nodes, and of coordinators that have crashed
	back  chan struct{}  // the coordinator is back; closed: it does not come back

	mu    sync.Mutex
	coord *coordinator  // nil: it is away
	nodes map[int]*node // the newest life of each
	left  []Fault       // that have not happened yet
	over  bool          // nobody is started any more
	out   Outcome
}

// endless is after how much fake time a run is taken to hang.
const endless = 30 * time.Minute

// Run plays a scenario to its end.
func Run(s Scenario) Outcome {
	w := &world{Scenario: s, story: &story{began: time.Now()}, nodes: map[int]*node{}, left: s.Faults, back: make(chan struct{}, 1)}
	w.out = Outcome{Scenario: s, Story: w.story, Checkpoints: map[int64]string{}, Exits: map[string]error{}}
	w.net = simnet.New(w.latency)
	if err := w.begin(); err != nil {
		panic(fmt.Sprintf("sim: the scenario cannot begin: %v", err)) // the caller's mistake
	}
	for i := range s.Nodes {
		w.launch(i)
	}
	w.follow()
	w.end()
	return w.out
}

// ip is a process's address. The simulation needs none of the host's, but who is on
// loopback needs no certificates.
func ip(node int) string { return fmt.Sprintf("127.0.0.%d", 10+node) }

// follow notes what the cluster tells until the run is over, or hangs, or has no
// coordinator any more.
func (w *world) follow() {
	ctx, cancel := context.WithTimeout(context.Background(), endless)
	defer cancel()
	seen := int64(0)
	for there := true; there; there = w.awaitCoordinator(ctx) {
		c := w.coordinator()
		if c == nil {
			continue
		}
		for e := range c.Events(ctx, seen) {
			if !w.tells(c, e) {
				break
			}
			seen = e.Sequence
		}
	}
}

// coordinator is the one that lives; nil: none.
func (w *world) coordinator() *coordinator {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.coord
}

// tells notes what a coordinator tells, if it lives.
func (w *world) tells(c *coordinator, e *pb.RunEvent) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.coord == c {
		w.out.note(e, w.story.say)
	}
	return w.coord == c
}

// awaitCoordinator waits for the coordinator's return, if there is to be one.
func (w *world) awaitCoordinator(ctx context.Context) bool {
	if w.hasEnded() {
		return false
	}
	select {
	case _, returned := <-w.back:
		return returned
	case <-ctx.Done():
		w.story.say("the run hangs")
		if c := w.coordinator(); c != nil {
			c.Kill("it hangs")
		}
		return false
	}
}

func (w *world) hasEnded() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Done != nil
}

// end waits for everybody's end, and reads the record.
func (w *world) end() {
	if !w.hasEnded() && w.coordinator() == nil {
		w.lives.Wait() // for as long as nodes live, things may go wrong
	}
	w.mu.Lock()
	w.over = true
	c := w.coord
	w.mu.Unlock()
	if c != nil {
		c.Wait()
		c.host.Crash()
	}
	w.lives.Wait()
	if c != nil {
		_ = c.ledger.Close()
	}
	w.readLedger()
	time.Sleep(aftermath)
}

// aftermath is how much fake time goes by after a run, in which goroutines end that
// only a clock wakes: memberlist's last probes outlive its shutdown, and faults
// have yet to be undone.
const aftermath = time.Minute

func (w *world) readLedger() {
	ledger, err := w.openLedger()
	if err != nil {
		w.story.say("the ledger: %v", err)
		return
	}
	defer ledger.Close()
	runs, err := ledger.Runs()
	if err != nil || len(runs) != 1 {
		w.story.say("the ledger has %d runs: %v", len(runs), err)
		return
	}
	steps, err := ledger.Steps(runs[0].ID)
	if err != nil {
		w.story.say("the ledger: %v", err)
	}
	for _, s := range steps {
		w.out.ledger = append(w.out.ledger, ledgerStep{s.Step, s.Generation, s.Loss})
	}
}

// visit notes that a node has come to a place, and has the faults happen that are due.
func (w *world) visit(n *node, at agent.Place) {
	w.mu.Lock()
	var due []Fault
	if w.nodes[n.index] == n && !n.ended {
		w.out.Places = append(w.out.Places, Visit{nodeName(n.index), at})
		due = w.takeDue(n.index, at)
	}
	w.mu.Unlock()
	w.begins(due, n.index, at.Phase, at.Step, n)
}

// takeDue takes the faults that are due where somebody has come to. The caller holds
// the lock.
func (w *world) takeDue(who int, at agent.Place) (due []Fault) {
	for i := 0; i < len(w.left); {
		if f := w.left[i]; f.due(who, at) {
			due = append(due, f)
			w.left = append(w.left[:i:i], w.left[i+1:]...)
			continue
		}
		i++
	}
	return due
}

// begins has faults happen, now or later. It is called on the goroutine of who has come
// to their place, n if that is a node.
func (w *world) begins(due []Fault, who int, phase train.Phase, step int64, n *node) {
	for _, f := range due {
		if f.Node == Anybody {
			f.Node = who
		}
		if f.After > 0 {
			time.AfterFunc(f.After, func() { w.happen(f, nil) })
			continue
		}
		w.story.say("%s is at %s of step %d", nodeName(who), phase, step)
		w.happen(f, n)
	}
}

package sim

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"parallax/internal/agent"
	"parallax/internal/coord"
	"parallax/internal/sim/simnet"
	"parallax/record"
)

// world is a cluster while it runs.
type world struct {
	Scenario
	story  *story
	net    *simnet.Network
	coord  *coord.Coordinator
	host   *simnet.Process // of the coordinator
	ledger *record.Ledger
	lives  sync.WaitGroup // of nodes

	mu    sync.Mutex
	nodes map[int]*node // the newest life of each
	left  []Fault       // that have not happened yet
	over  bool          // nobody is started any more
	out   Outcome
}

// endless is after how much fake time a run is taken to hang.
const endless = 30 * time.Minute

// Run plays a scenario to its end.
func Run(s Scenario) Outcome {
	w := &world{Scenario: s, story: &story{began: time.Now()}, nodes: map[int]*node{}, left: s.Faults}
	w.out = Outcome{Scenario: s, Story: w.story, Checkpoints: map[int64]string{}, Exits: map[string]error{}}
	w.net = simnet.New(w.latency)
	if err := w.start(); err != nil {
		panic(fmt.Sprintf("sim: the scenario cannot begin: %v", err)) // the caller's mistake
	}
	for i := range s.Nodes {
		w.launch(i)
	}
	w.follow()
	w.end()
	return w.out
}

// start starts the coordinator.
func (w *world) start() (err error) {
	w.host = w.net.Start(nodeName(Coordinator), ip(Coordinator))
	w.coord, err = coord.Start(coord.Options{
		Listen: ip(Coordinator) + ":0", Gossip: ip(Coordinator) + ":0", Network: w.host,
		Nodes: w.Nodes, MinNodes: w.MinNodes, FailureTimeout: w.FailureTimeout, QuorumTimeout: w.QuorumTimeout,
		RunDir: w.Dir, Run: &coord.Submission{Spec: w.Spec}, Log: quiet, Ledger: w.openLedger,
	})
	return err
}

func (w *world) openLedger() (_ *record.Ledger, err error) {
	w.ledger, err = record.Open(filepath.Join(w.Dir, "ledger.db"))
	return w.ledger, err
}

// ip is a process's address. The simulation needs none of the host's, but who is on
// loopback needs no certificates.
func ip(node int) string { return fmt.Sprintf("127.0.0.%d", 10+node) }

// follow notes what the cluster tells until the run is over, or hangs.
func (w *world) follow() {
	ctx, cancel := context.WithTimeout(context.Background(), endless)
	defer cancel()
	for e := range w.coord.Events(ctx, 0) {
		w.mu.Lock()
		w.out.note(e, w.story.say)
		w.mu.Unlock()
	}
	if w.out.Done == nil {
		w.story.say("the run hangs")
		w.coord.Kill("it hangs")
	}
}

// end waits for everybody's end, and reads the record.
func (w *world) end() {
	w.mu.Lock()
	w.over = true
	w.mu.Unlock()
	w.coord.Wait()
	w.host.Crash()
	w.lives.Wait()
	if err := w.ledger.Flush(); err != nil {
		w.story.say("the ledger: %v", err)
	}
	w.readLedger()
	_ = w.ledger.Close()
	time.Sleep(aftermath)
}

// aftermath is how much fake time goes by after a run, in which goroutines end that
// only a clock wakes: memberlist's last probes outlive its shutdown, and faults
// have yet to be undone.
const aftermath = time.Minute

func (w *world) readLedger() {
	runs, err := w.ledger.Runs()
	if err != nil || len(runs) != 1 {
		w.story.say("the ledger has %d runs: %v", len(runs), err)
		return
	}
	steps, err := w.ledger.Steps(runs[0].ID)
	if err != nil {
		w.story.say("the ledger: %v", err)
	}
	for _, s := range steps {
		w.out.ledger = append(w.out.ledger, ledgerStep{s.Step, s.Loss})
	}
}

// visit notes that a node has come to a place, and has the faults happen that are due.
func (w *world) visit(n *node, at agent.Place) {
	w.mu.Lock()
	var due []Fault
	if w.nodes[n.index] == n && !n.ended {
		w.out.Places = append(w.out.Places, Visit{nodeName(n.index), at})
		for i := 0; i < len(w.left); {
			if f := w.left[i]; f.due(n.index, at) {
				due = append(due, f)
				w.left = append(w.left[:i:i], w.left[i+1:]...)
				continue
			}
			i++
		}
	}
	w.mu.Unlock()
	for _, f := range due {
		if f.After > 0 {
			time.AfterFunc(f.After, func() { w.happen(f, nil) })
			continue
		}
		w.story.say("%s is at %s of step %d", nodeName(n.index), at.Phase, at.Step)
		w.happen(f, n)
	}
}

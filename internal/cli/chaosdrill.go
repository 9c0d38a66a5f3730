package cli

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"parallax/launch"
	pb "parallax/proto/parallax/v1"
)

// faultKinds are what chaos can do: to a node, and, with kill -9, to the coordinator.
var faultKinds = []string{"kill", "stop", "drain", "coordinator"}

var faultSignals = map[string]syscall.Signal{"kill": syscall.SIGKILL, "stop": syscall.SIGSTOP, "drain": syscall.SIGTERM}

// strike is one failure and what came of it.
type strike struct {
	kind       string
	node       int       // or launch.Coordinator
	at         time.Time // of the signal
	step       int64     // that was the last to be made before
	since      time.Time // when that was
	generation uint64

	wentOn time.Duration // from the signal to the end of the next view's first step, or to when the coordinator tells of steps again
	again  int64         // steps that were begun before and made again
	lost   time.Duration // of the step that was under way at the signal
	back   time.Duration // from the node's start to the end of its first step; 0: not back
}

// drill breaks a cluster, one failure after the other, each once the cluster is
// whole again. It is a console.Printer: the run's events drive it.
type drill struct {
	f      *chaosFlags
	report *chaosReport
	rand   *rand.Rand
	local  launch.Local

	mu      sync.Mutex
	cluster *launch.Cluster
	nodes   []drillNode
	strikes []*strike
	state   drillState
	now     *strike
	pause   int       // steps until the next strike
	started time.Time // when the node of the last strike was started again
	told    *pb.StepSummary
	toldAt  time.Time
	failed  error
	waits   sync.WaitGroup
}

// drillNode is a node's newest process.
type drillNode struct {
	signal func(syscall.Signal) error
	ended  <-chan struct{}
}

type drillState int

const (
	whole     drillState = iota // and steps go by until the next strike
	struck                      // training has yet to go on
	returning                   // the node has yet to be back
)

func newDrill(f *chaosFlags, report *chaosReport) *drill {
	d := &drill{f: f, report: report, rand: rand.New(rand.NewPCG(f.seed, 1))}
	d.pause = d.steps()
	return d
}

// steps draws how many go by until the next strike.
func (d *drill) steps() int { return 1 + d.rand.IntN(d.f.every) }

// hold trains the run and breaks its cluster.
func (d *drill) hold(ctx context.Context, run simRun) error {
	s := &d.f.sim.cluster
	fmt.Fprintf(os.Stderr, "training %s on %s, with %s\n", count(run.spec.Train.Steps, "step"), count(s.nodes, "node"), count(d.f.count, "failure"))
	identities, err := s.certify(run)
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.local = s.local(run, identities)
	d.cluster, err = d.local.Start(ctx)
	for i := range s.nodes {
		if err == nil {
			d.nodes = append(d.nodes, drillNode{func(sig syscall.Signal) error { return d.cluster.Signal(i, sig) }, d.cluster.NodeEnded(i)})
		}
	}
	d.mu.Unlock()
	if err != nil {
		return err
	}
	d.report.begin()
	done, err := s.follow(ctx, d.cluster, identities.us, d)
	d.endNodes()
	if err != nil {
		return s.brokeDown(ctx, d.cluster, err)
	}
	s.end(d.cluster)
	switch {
	case d.failed != nil:
		return d.failed
	case ctx.Err() != nil && done.ExitCode == exitOK && int(done.Step) < run.spec.Train.Steps:
		return errDrillStopped
	case done.ExitCode != exitOK || int(done.Step) < run.spec.Train.Steps:
		return &exitError{max(int(done.ExitCode), exitFailed), fmt.Errorf("the disturbed run ended after step %d: %s", done.Step, done.Reason)}
	}
	return nil
}

// endNodes waits for the processes that were started again; one that stays is killed.
func (d *drill) endNodes() {
	d.mu.Lock()
	nodes := slices.Clone(d.nodes)
	d.now, d.state = nil, returning // nothing happens any more
	d.mu.Unlock()
	deadline := time.After(goodbye)
	for _, n := range nodes {
		select {
		case <-n.ended:
		case <-deadline:
			deadline = nil
			for _, n := range nodes {
				_ = n.signal(syscall.SIGKILL)
			}
			<-n.ended
		}
	}
	d.waits.Wait()
}

// Event implements console.Printer.
func (d *drill) Event(e *pb.RunEvent) {
	d.mu.Lock()
	defer d.mu.Unlock()
	step := e.GetStep()
	if step == nil {
		return
	}
	at := time.Unix(0, e.UnixNanos)
	switch d.state {
	case whole:
		d.pause--
		if d.pause == 0 && len(d.strikes) < d.f.count && step.Step < step.Steps {
			d.strikeSoon(time.Duration(step.Seconds * float64(time.Second)))
		}
	case struck:
		switch {
		case d.now == nil:
		case d.now.node == launch.Coordinator && at.After(d.now.at):
			d.now.wentOn = at.Sub(d.now.at)
			d.isOver()
		case step.Generation > d.now.generation:
			d.goesOn(step, at)
		}
	case returning:
		if d.now != nil && !d.started.IsZero() && int(step.World) == len(d.nodes) {
			d.isBack(at)
		}
	}
	d.told, d.toldAt = step, at
}

// Close implements console.Printer.
func (d *drill) Close() {}

// strikeSoon strikes at a random moment of the next step.
func (d *drill) strikeSoon(step time.Duration) {
	kind := d.f.faults[len(d.strikes)%len(d.f.faults)]
	s := &strike{kind: kind, node: d.rand.IntN(len(d.nodes))}
	if kind == "coordinator" {
		s.node = launch.Coordinator
	}
	d.strikes = append(d.strikes, s)
	d.waits.Add(1)
	time.AfterFunc(time.Duration(d.rand.Float64()*float64(step)), func() {
		defer d.waits.Done()
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.state != whole {
			return // the run is over
		}
		s.at, s.step, s.since, s.generation = time.Now(), d.told.Step, d.toldAt, d.told.Generation
		d.now, d.state = s, struck
		d.fail(d.signal(s))
	})
}

// signal does to a process what a strike is.
func (d *drill) signal(s *strike) error {
	if s.node == launch.Coordinator {
		return d.cluster.Kill(launch.Coordinator) // it is started again at once
	}
	return d.nodes[s.node].signal(faultSignals[s.kind])
}

func (d *drill) fail(err error) {
	if err != nil && d.failed == nil {
		d.failed = err
	}
}

// goesOn notes that training goes on, and has the node return.
func (d *drill) goesOn(step *pb.StepSummary, at time.Time) {
	s := d.now
	s.wentOn = at.Sub(s.at)
	if s.kind != "drain" { // which leaves between two steps
		s.again, s.lost = 1+max(0, d.told.Step+1-step.Step), s.at.Sub(s.since)
		if d.told.Step > s.step { // the step under way was made nevertheless, and the next one lost
			s.lost = max(0, s.at.Sub(d.toldAt))
		}
	}
	d.state, d.started = returning, time.Time{}
	d.waits.Add(1)
	go func() {
		defer d.waits.Done()
		d.revive(s.node)
	}()
}

// revive starts a node again, once its process has ended: one that was stopped
// wakes up, and is told that the run goes on without it.
func (d *drill) revive(node int) {
	d.mu.Lock()
	n := d.nodes[node]
	d.mu.Unlock()
	_ = n.signal(syscall.SIGCONT)
	select {
	case <-n.ended:
	case <-time.After(patience):
		_ = n.signal(syscall.SIGKILL)
		<-n.ended
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.now == nil {
		return // the run is over
	}
	child, err := d.local.Node(node, d.cluster.Address())
	if err != nil {
		d.fail(err)
		return
	}
	d.nodes[node], d.started = drillNode{child.Signal, child.Ended()}, time.Now()
}

// isBack notes that all nodes make steps again.
func (d *drill) isBack(at time.Time) {
	d.now.back = at.Sub(d.started)
	d.isOver()
}

// isOver has steps go by until the next strike.
func (d *drill) isOver() {
	d.report.strike(d.now, len(d.strikes))
	d.now, d.state, d.pause = nil, whole, d.steps()
}

package agent_test

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"parallax/internal/agent"
	"parallax/internal/config"
	"parallax/internal/coord"
	"parallax/internal/network"
	"parallax/internal/train"
	"parallax/internal/train/traintest"
	pb "parallax/proto/parallax/v1"
	"parallax/shard"
)

// elastic is a rig whose nodes come and go.
type elastic struct {
	*rig
	spec  config.Spec
	last  int64 // step of the run, as far as is known
	views []*pb.View
	by    map[int64]uint64 // generation of each step
	nodes map[string]*elasticNode

	observe func(node int, at agent.Place) // nil: nobody looks
	network network.Network                // of those that are launched from now on; nil: the host's
}

// elasticNode is a node that can be killed, or asked to leave.
type elasticNode struct {
	die   chan struct{}
	drain context.CancelFunc
	ended chan error
	dead  bool // or about to be
	in    bool // it has been in a view
}

// newElastic starts a coordinator and all of its nodes.
func newElastic(t *testing.T, spec config.Spec, most, least int) *elastic {
	t.Helper()
	return newObserved(t, spec, most, least, 0, nil)
}

// newObserved is newElastic with a look-out for stragglers, and observe told where each
// node is.
func newObserved(t *testing.T, spec config.Spec, most, least int, straggler float64, observe func(node int, at agent.Place)) *elastic {
	t.Helper()
	e := &elastic{
		rig:  &rig{t: t, dir: t.TempDir(), cache: t.TempDir()},
		spec: spec, last: int64(spec.Train.Steps), by: map[int64]uint64{}, nodes: map[string]*elasticNode{}, observe: observe,
	}
	// Whose connections break is lost at once. So no test waits for the failure timeout, and
	// nobody is lost for being starved.
	var err error
	e.coord, err = coord.Start(coord.Options{
		Listen: "127.0.0.1:0", Gossip: "127.0.0.1:0", Nodes: most, MinNodes: least, FailureTimeout: time.Minute,
		QuorumTimeout: time.Minute, RunDir: e.dir, Run: &coord.Submission{Spec: spec}, Log: quiet, StragglerFactor: straggler,
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range most {
		e.launch(i)
	}
	return e
}

func nodeName(i int) string { return fmt.Sprintf("node-%d", i) }

// launch starts node i, or starts it again.
func (e *elastic) launch(i int) {
	ctx, drain := context.WithCancel(context.Background())
	n := &elasticNode{die: make(chan struct{}), drain: drain, ended: make(chan error, 1)}
	e.t.Cleanup(drain)
	e.nodes[nodeName(i)] = n
	o := e.options(i, e.coord.Address())
	o.Network = e.network
	if e.observe != nil {
		o.Observe = func(at agent.Place) { e.observe(i, at) }
	}
	go func() { n.ended <- agent.RunUntilKilled(ctx, o, n.die) }()
}

// kill breaks all of a node's connections.
func (e *elastic) kill(i int) {
	n := e.nodes[nodeName(i)]
	n.dead = true
	close(n.die)
}

// follow watches the run to its end, which must be a good one.
func (e *elastic) follow(on func(*pb.RunEvent)) history {
	e.t.Helper()
	h := e.watch(func(event *pb.RunEvent) {
		if v := event.GetView(); v != nil {
			e.views = append(e.views, v)
			for _, m := range v.Members {
				e.nodes[m.NodeId].in = true
			}
		}
		if s := event.GetStep(); s != nil {
			if by, told := e.by[s.Step]; told && e.resumed(by) >= s.Step {
				e.t.Errorf("step %d was told twice, by generations %d and %d", s.Step, by, s.Generation)
			}
			e.by[s.Step] = s.Generation
		}
		on(event)
	})
	for name, n := range e.nodes {
		if err := <-n.ended; err != nil && !n.dead && n.in {
			e.t.Errorf("%s ended with: %v", name, err)
		}
	}
	if complete := h.done.GetStep() == e.last; h.done.GetExitCode() != 0 || complete == (e.last == lasting) {
		e.t.Fatalf("the run ended at step %d with code %d: %s\n%s", h.done.GetStep(), h.done.GetExitCode(), h.done.GetReason(), e.reasons())
	}
	e.last = h.done.Step
	e.checkSamples()
	return h
}

// checkSamples sees that each step counts once, as made in the view whose turn it was,
// and that each view deals out each slot once: so each sample was used once.
func (e *elastic) checkSamples() {
	e.t.Helper()
	for _, v := range e.views {
		deal := make([][]int, len(v.Members))
		for rank, m := range v.Members {
			for _, slot := range m.Slots {
				deal[rank] = append(deal[rank], int(slot))
			}
		}
		if err := shard.CheckDeal(deal, e.spec.Train.Slots); err != nil {
			e.t.Errorf("generation %d: %v", v.Generation, err)
		}
		end := e.resumed(v.Generation)
		for step := v.ResumeStep + 1; step <= end; step++ {
			if e.by[step] != v.Generation {
				e.t.Errorf("step %d was made in generation %d, but generation %d has steps %d to %d", step, e.by[step], v.Generation, v.ResumeStep+1, end)
			}
		}
	}
}

// resumed is the step that views after a generation begin behind, the earliest of them: a
// later view begins earlier where all who held the newest step were lost together.
func (e *elastic) resumed(generation uint64) int64 {
	step := e.last
	for _, v := range e.views {
		if v.Generation > generation {
			step = min(step, v.ResumeStep)
		}
	}
	return step
}

// reasons joins the sentences of all views.
func (e *elastic) reasons() string {
	var all []string
	for _, v := range e.views {
		all = append(all, v.Reason)
	}
	return strings.Join(all, "\n")
}

func (e *elastic) wantReasons(words ...string) {
	e.t.Helper()
	for _, w := range words {
		if !strings.Contains(e.reasons(), w) {
			e.t.Errorf("no view says %q:\n%s", w, e.reasons())
		}
	}
}

// wantLost wants a view to say that a node is no longer there. It need not be the
// first that is named: a node of this process dies with its server, connection by
// connection, and may get to blame its neighbour before it is gone.
func (e *elastic) wantLost(generation, node int) {
	e.t.Helper()
	said := regexp.MustCompile(fmt.Sprintf(`generation %d: .*node-%d (was lost|died|left|stopped)`, generation, node))
	if !said.MatchString(e.reasons()) {
		e.t.Errorf("no view says that node-%d is lost:\n%s", node, e.reasons())
	}
}

// elasticSpec is a run of some steps with exact reduction.
func elasticSpec(t *testing.T, steps int, set ...string) config.Spec {
	t.Helper()
	return testSpec(t, traintest.WriteWords(t, 20000), append([]string{"train.reduction=sum-exact", "train.slots=6",
		fmt.Sprintf("train.steps=%d", steps), "eval.every=10", "checkpoint.every=0"}, set...)...)
}

// lasting is how many steps a run has that is stopped once what is waited for has come
// about: more than are made until then, however the machine's time is shared out.
const lasting = 20000

// lastingSpec is such a run. No step of it depends on how many follow.
func lastingSpec(t *testing.T, set ...string) config.Spec {
	t.Helper()
	return elasticSpec(t, lasting, append([]string{"schedule.name=constant"}, set...)...)
}

// until stops the run when some steps have been made in a view that is as wanted.
func (e *elastic) until(wanted func(v *pb.View) bool) func(*pb.RunEvent) {
	steps := 0
	return func(event *pb.RunEvent) {
		if event.GetStep() == nil || !wanted(e.views[len(e.views)-1]) {
			return
		}
		if steps++; steps == 10 {
			e.coord.Stop("seen enough", 0)
		}
	}
}

// has wants a view behind the first one, of so many nodes.
func has(members int) func(*pb.View) bool {
	return func(v *pb.View) bool { return v.Generation > 1 && len(v.Members) == members }
}

// undisturbed is the same run on one node.
func undisturbed(t *testing.T, spec config.Spec) history {
	t.Helper()
	r := newRig(t, spec, 1, t.TempDir(), false)
	h := r.watch(nil)
	r.wantNodes(1)
	return h
}

// undisturbedUntil is the same run on one node, up to the last step of one that was
// stopped, after which nothing was evaluated.
func undisturbedUntil(t *testing.T, spec config.Spec, got history) history {
	t.Helper()
	spec.Train.Steps = int(got.done.Step)
	want := undisturbed(t, spec)
	delete(want.evals, got.done.Step)
	return want
}

// all tells each of them what happens.
func all(on ...func(*pb.RunEvent)) func(*pb.RunEvent) {
	return func(event *pb.RunEvent) {
		for _, f := range on {
			f(event)
		}
	}
}

// wantSame holds a run against an undisturbed one, to the last bit.
func wantSame(t *testing.T, got, want history) {
	t.Helper()
	for step, loss := range want.losses {
		if got.losses[step] != loss {
			t.Fatalf("step %d: loss %v, undisturbed %v", step, got.losses[step], loss)
		}
	}
	for step, loss := range want.evals {
		if got.evals[step] != loss {
			t.Errorf("evaluation after step %d: loss %v, undisturbed %v", step, got.evals[step], loss)
		}
	}
	if got.state(t) != want.state(t) {
		t.Error("the last checkpoint has other bits than the undisturbed run's")
	}
}

// at calls what when the run has made a step, once.
func at(step int64, what func()) func(*pb.RunEvent) {
	done := false
	return func(e *pb.RunEvent) {
		if !done && e.GetStep().GetStep() >= step {
			done = true
			what()
		}
	}
}

func TestGoesOnWithoutANode(t *testing.T) {
	t.Parallel()
	spec := lastingSpec(t)
	for victim := range 3 {
		e := newElastic(t, spec, 3, 2)
		var killed time.Time
		kill := at(15, func() { killed = time.Now(); e.kill(victim) })
		got := e.follow(all(kill, e.until(has(2)), func(event *pb.RunEvent) {
			if s := event.GetStep(); s.GetGeneration() == 2 && s.Step == e.views[1].ResumeStep+1 {
				t.Logf("%v from the death to the end of the next view's first step", time.Since(killed).Round(time.Millisecond))
			}
		}))
		wantSame(t, got, undisturbedUntil(t, spec, got))
		e.wantLost(2, victim)
		e.wantReasons("2 of 3 nodes go on from step")
	}
}

// With plain float32 sums the world's size shows in the last digits, no more.
func TestGoesOnInFloat32(t *testing.T) {
	t.Parallel()
	spec := lastingSpec(t, "train.reduction=sum-f32")
	e := newElastic(t, spec, 4, 1)
	got := e.follow(all(at(15, func() { e.kill(2) }), e.until(has(3))))
	for step, loss := range undisturbedUntil(t, spec, got).losses {
		if math.Abs(got.losses[step]-loss) > 1e-4*loss {
			t.Errorf("step %d: loss %v, undisturbed %v", step, got.losses[step], loss)
		}
	}
}

func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	spec := lastingSpec(t)
	e := newElastic(t, spec, 4, 1)
	got := e.follow(all(at(15, func() { e.kill(1); e.kill(2) }), e.until(has(2))))
	wantSame(t, got, undisturbedUntil(t, spec, got))
}

// A node that its host asks to leave does so, and its end is a good one.
func TestLeavesAlone(t *testing.T) {
	t.Parallel()
	spec := lastingSpec(t)
	e := newElastic(t, spec, 3, 2)
	got := e.follow(all(at(15, func() { e.nodes["node-0"].drain() }), e.until(has(2))))
	wantSame(t, got, undisturbedUntil(t, spec, got))
	e.wantReasons("generation 2: node-0 leaves (the host asked for it); 2 of 3 nodes go on")
}

// A node that computes slowly for a while has fewer slots as long as that lasts, and no
// number changes for it.
func TestSlowNodeHasFewerSlots(t *testing.T) {
	t.Parallel()
	spec := elasticSpec(t, 120)
	var moved atomic.Bool
	e := newObserved(t, spec, 3, 3, 2, func(node int, at agent.Place) {
		if node == 1 && at.Phase == train.Backward && !moved.Load() {
			time.Sleep(60 * time.Millisecond) // the slowness itself: nothing waits for it
		}
	})
	dealt := 0
	h := e.follow(func(event *pb.RunEvent) {
		v := event.GetView()
		if v == nil || !strings.Contains(v.Reason, "the slots are dealt anew by measured speed") {
			return
		}
		dealt++
		if slots := len(v.Members[1].Slots); !moved.Swap(true) && slots != 1 {
			t.Errorf("the slow node has %d slots of %d: %s", slots, spec.Train.Slots, v.Reason)
		}
	})
	wantSame(t, h, undisturbed(t, spec))
	named := regexp.MustCompile(`node-1 is [0-9.]+ times slower per micro-batch than the others .*: its slots go from 2 to 1`)
	if dealt == 0 || !slices.ContainsFunc(h.notices, named.MatchString) {
		t.Errorf("the slots were dealt anew %d times, and this was said: %q", dealt, h.notices)
	}
}

// With too few nodes left the run waits, and goes on when one comes.
func TestWaitsForNodes(t *testing.T) {
	t.Parallel()
	spec := lastingSpec(t)
	e := newElastic(t, spec, 2, 2)
	got := e.follow(all(at(15, func() { e.kill(1) }), e.until(has(2)), func(event *pb.RunEvent) {
		if strings.Contains(event.GetNotice().GetText(), "waiting 1m0s for others") {
			e.launch(1)
		}
	}))
	wantSame(t, got, undisturbedUntil(t, spec, got))
	if len(got.checkpoints) < 2 {
		t.Errorf("the checkpoints are %v; one was due before it waited", got.checkpoints)
	}
}

package coord

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"parallax/internal/config"
	pb "parallax/proto/parallax/v1"
	"parallax/shard"
)

// fake is a node as the core sees it: what it says follows from what it holds.
type fake struct {
	id         uint64 // its incarnation
	name       string
	link       fakeLink
	step       int64          // applied
	state      string         // digest of what it holds; empty: nothing whole
	view       *pb.View       // that it trains in, nil: none
	generation uint64         // of the newest view that it was in
	ready      *pb.Ready      // what it said when it was ready
	leave      bool           // it has been told to leave that after the step
	stop       bool           // it has been told to end the run after the step
	owes       uint64         // the generation of a halt order that it has yet to answer
	told       uint64         // the generation after which it last told what it holds
	order      *pb.FetchOrder // that it obeys while it is in no view
	near       bool           // it has said that it follows the members
	silent     bool           // it hangs
	saves      bool           // it is to write a checkpoint
	drained    bool
	gone       bool
}

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
	lacks     bool     // and the core has said that some lack in the record
	anew      bool     // the state was lost with all who had it, so steps are made again
	done      *pb.Done
	left      int // how many nodes were well then
	followed  int // joiners that came in with the state that they had fetched beside the run
	carried   int // joiners that took it in the ring
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
	w.feed(Tick{w.now})
	w.feed(Submitted{Job{ID: "r", Dir: "/r", Submission: Submission{Spec: spec}}})
	for i := range worldNodes {
		w.come(fmt.Sprint("n", i))
	}
	return w
}

// come starts a node, which is ready at once with the state that all start from.
func (w *world) come(name string) {
	n := &fake{id: uint64(len(w.nodes) + 1), name: name, state: "s0"}
	w.nodes = append(w.nodes, n)
	w.attach(n)
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

// obey changes a node as an order has it. It answers later, when it is its turn.
func (w *world) obey(n *fake, m *pb.CoordinatorMessage) {
	switch k := m.Kind.(type) {
	case *pb.CoordinatorMessage_Welcome:
		w.welcomed(n, k.Welcome)
	case *pb.CoordinatorMessage_Recorded:
		n.link.recorded(k.Recorded.Step)
	case *pb.CoordinatorMessage_View:
		n.view, n.leave, n.owes, n.near, n.order = k.View, false, 0, false, nil
		n.generation = k.View.Generation
	case *pb.CoordinatorMessage_Fetch:
		n.order, n.near, n.step, n.state = k.Fetch, false, 0, ""
	case *pb.CoordinatorMessage_Halt:
		if k.Halt.AtBoundary {
			n.leave = n.view != nil
		} else if n.told != k.Halt.Generation {
			n.owes = k.Halt.Generation
		}
	case *pb.CoordinatorMessage_Save:
		n.saves, n.view = true, nil
	case *pb.CoordinatorMessage_Stop:
		n.stop = true
		if k.Stop.AtOnce || n.generation == 0 {
			w.die(n)
		}
	case *pb.CoordinatorMessage_Refusal:
		w.die(n)
	}
}

// note checks what the core tells the world.
func (w *world) note(e *pb.RunEvent) {
	w.store.open.add(e)
	switch k := e.Kind.(type) {
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
	if v.ResumeStep != w.published {
		w.t.Errorf("generation %d begins at step %d, but %d are told", v.Generation, v.ResumeStep, w.published)
	}
	deal := make([][]int, len(v.Members))
	for rank, m := range v.Members {
		for _, slot := range m.Slots {
			deal[rank] = append(deal[rank], int(slot))
		}
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
	if err := shard.CheckDeal(deal, worldSlots); err != nil {
		w.t.Errorf("generation %d: %v", v.Generation, err)
	}
	if v.Members[v.SourceRank].Fetch {
		w.t.Errorf("generation %d: the source fetches", v.Generation)
	}
}

// ring is the members of the newest view that can make a step together; whole says
// that nobody is missing.
func (w *world) ring() (in []*fake, whole bool) {
	if w.view == nil {
		return nil, false
	}
	for _, m := range w.view.Members {
		if n := w.member(m); !n.gone && !n.silent && n.view != nil && n.generation == w.view.Generation && n.owes == 0 {
			in = append(in, n)
		}
	}
	return in, len(in) == len(w.view.Members)
}

// enter has the members of a whole ring fetch what they are to fetch.
func (w *world) enter(in []*fake) {
	for rank, n := range in {
		if w.view.Members[rank].Fetch && n.step <= w.view.ResumeStep {
			n.hold(max(n.step, w.view.ResumeStep))
		}
	}
}

func (n *fake) hold(step int64) { n.step, n.state = step, fmt.Sprint("s", step) }

// advance has a whole ring make a step, if it is not at the end already.
func (w *world) advance(in []*fake) {
	w.enter(in)
	view, leave, stop := w.view, false, false
	for _, n := range in {
		leave, stop = leave || n.leave, stop || n.stop
		n.hold(min(n.step+1, worldSteps))
	}
	for _, n := range in {
		w.report(n, view)
		switch {
		case n.step == worldSteps || stop:
			n.view = nil
			w.say(n, &pb.NodeMessage{Kind: &pb.NodeMessage_Leaving{Leaving: &pb.Leaving{AppliedStep: n.step, Done: n.step == worldSteps}}})
		case leave:
			n.told, n.view = view.Generation, nil
			w.say(n, &pb.NodeMessage{Kind: &pb.NodeMessage_Held{Held: &pb.Held{
				Generation: view.Generation, AppliedStep: n.step, Digest: []byte(n.state)}}})
		}
	}
	if leave && !stop && in[0].step < worldSteps {
		w.arrive(in[0].step, view)
	}
}

// arrive has the joiners who follow the ranks come to their last step, if they do.
func (w *world) arrive(step int64, left *pb.View) {
	for _, n := range w.nodes {
		if n.near && n.view == nil && w.IntN(4) > 0 {
			n.hold(step)
			w.say(n, &pb.NodeMessage{Kind: &pb.NodeMessage_Held{Held: &pb.Held{
				Generation: left.Generation, AppliedStep: step, Digest: []byte(n.state)}}})
		}
	}
}

// fetch has a joiner tell what became of its order.
func (w *world) fetch(n *fake) {
	if n.order == nil || n.near || n.view != nil {
		return
	}
	r := &pb.Fetched{Number: n.order.Number}
	if w.IntN(5) == 0 {
		r.Error = "broken"
	} else {
		n.near = true
	}
	w.say(n, &pb.NodeMessage{Kind: &pb.NodeMessage_Fetched{Fetched: r}})
}

func (w *world) report(n *fake, v *pb.View) {
	if n.step > v.ResumeStep {
		w.say(n, &pb.NodeMessage{Kind: &pb.NodeMessage_Step{Step: &pb.StepReport{
			Generation: v.Generation, Step: n.step, Tokens: 1, Seconds: 1, ComputeSeconds: w.computing(n)}}})
	}
}

// computing is how long a node's slots take: each fifth node is a straggler.
func (w *world) computing(n *fake) float64 {
	seconds := 1.0
	if n.id%5 == 0 {
		seconds = 3
	}
	for _, m := range n.view.GetMembers() {
		if m.NodeId == n.name {
			return seconds * float64(len(m.Slots))
		}
	}
	return seconds
}

// tear has a member die in a step which some of the others have applied.
func (w *world) tear(in []*fake) {
	w.enter(in)
	view := w.view
	if in[0].step == worldSteps {
		return
	}
	for _, i := range w.Perm(len(in))[:w.IntN(len(in)+1)] {
		in[i].hold(in[i].step + 1)
		w.report(in[i], view)
	}
	w.die(in[w.IntN(len(in))])
}

// breakOff has a member find its ring broken. If it was to fetch it may have half a
// state by then.
func (w *world) breakOff(n *fake) {
	for _, m := range n.view.Members {
		if m.NodeId == n.name && m.Fetch && n.step < n.view.ResumeStep && w.IntN(2) == 0 {
			n.step, n.state = 0, ""
		}
	}
	n.owes = n.view.Generation
	w.answer(n)
}

// answer has a node tell what it holds, if it is asked, and then save, if it is to.
func (w *world) answer(n *fake) {
	w.tellHeld(n)
	w.save(n)
}

func (w *world) tellHeld(n *fake) {
	if n.owes == 0 || n.gone || n.silent {
		return
	}
	f := &pb.Failure{Generation: n.owes, AppliedStep: n.step, Digest: []byte(n.state), Error: "broken", Suspect: w.hung()}
	n.told, n.owes, n.view = n.owes, 0, nil
	w.say(n, &pb.NodeMessage{Kind: &pb.NodeMessage_Failure{Failure: f}})
}

// save has a node write a checkpoint, mostly.
func (w *world) save(n *fake) {
	if !n.saves || n.gone || n.silent {
		return
	}
	n.saves = false
	r := &pb.CheckpointReport{Step: n.step, Path: "c"}
	if w.IntN(10) == 0 {
		r.Error, n.drained = "full", true
	} else {
		w.saved = max(w.saved, n.step)
	}
	w.say(n, &pb.NodeMessage{Kind: &pb.NodeMessage_Checkpoint{Checkpoint: r}})
}

// hung names a member that does not answer.
func (w *world) hung() string {
	for _, m := range w.view.Members {
		if n := w.member(m); n.silent || n.gone {
			return m.NodeId
		}
	}
	return ""
}

func (w *world) die(n *fake) {
	if !n.gone {
		n.gone = true
		w.hangUp(n)
	}
}

func (w *world) pass(d time.Duration) {
	w.now = w.now.Add(d)
	w.feed(Tick{w.now})
	for _, n := range w.nodes {
		if n.link.open && !n.silent {
			w.feed(Received{n.link.conn, &pb.NodeMessage{Kind: &pb.NodeMessage_Heartbeat{Heartbeat: &pb.Heartbeat{}}}})
		}
	}
}

// turn has something happen.
func (w *world) turn() {
	n := w.nodes[w.IntN(len(w.nodes))]
	in, whole := w.ring()
	switch w.IntN(26) {
	case 0:
		w.die(n)
	case 1:
		n.silent = w.IntN(3) == 0 || n.silent
	case 2:
		w.come(fmt.Sprint("n", len(w.nodes)))
	case 3:
		n.drained = true
		w.say(n, &pb.NodeMessage{Kind: &pb.NodeMessage_Leaving{Leaving: &pb.Leaving{AppliedStep: n.step, Drain: true, Reason: "drained"}}})
	case 4:
		if whole {
			w.tear(in)
		}
	case 5:
		w.pass(100 * time.Millisecond)
	case 6, 7, 8:
		w.answer(n)
	case 9, 10:
		w.fetch(n)
	case 11:
		w.record()
	case 12:
		w.mishap()
	case 13, 14, 15, 16:
		w.recover()
	default:
		w.goOn(in, whole)
	}
}

// mishap has the core crash, now or with what it decides next, or a stream break. A
// part of the schedules knows nothing of that.
func (w *world) mishap() {
	n := w.nodes[w.IntN(len(w.nodes))]
	switch w.IntN(w.mishaps) {
	case 0:
		w.crash()
	case 1:
		w.doomed = w.core != nil
	case 2:
		if n.link.conn != 0 {
			w.hangUp(n)
		}
	}
}

// recover brings the core back, or whoever has no stream to it.
func (w *world) recover() {
	w.comeBack()
	for _, i := range w.Perm(len(w.nodes)) {
		if w.IntN(3) > 0 {
			w.attach(w.nodes[i])
		}
	}
}

// goOn makes a step, or has the members find out that their ring is not whole.
func (w *world) goOn(in []*fake, whole bool) {
	switch {
	case whole:
		w.advance(in)
	case len(in) > 0:
		w.breakOff(in[w.IntN(len(in))])
	}
}

var oneSeed = flag.Int64("seed", -1, "play only the random schedule of this seed, and tell its story")

// Whatever happens, also to the coordinator, no step is lost or told twice, every view
// can be trained in, and the run comes to an end.
func TestRandomSchedules(t *testing.T) {
	loaded, err := config.Load(config.Sources{Preset: "tiny", Set: []string{
		fmt.Sprint("train.steps=", worldSteps), fmt.Sprint("train.slots=", worldSlots), "train.reduction=sum-exact"}})
	if err != nil {
		t.Fatal(err)
	}
	if *oneSeed >= 0 {
		newWorld(t, loaded.Spec, uint64(*oneSeed)).play()
		return
	}
	ends := map[int32]int{}
	var sum world
	views := uint64(0)
	for seed := range uint64(1000) {
		w := newWorld(t, loaded.Spec, seed)
		w.play()
		if t.Failed() {
			t.Fatalf("again, with its story: go test ./internal/coord -run RandomSchedules -v -seed %d", seed)
		}
		ends[w.done.ExitCode]++
		views += w.view.GetGeneration()
		sum.followed, sum.carried, sum.dealt, sum.crashes = sum.followed+w.followed, sum.carried+w.carried, sum.dealt+w.dealt, sum.crashes+w.crashes
	}
	t.Logf("exit codes %v, %d views, %d joiners that followed, %d that the ring brought the state, %d deals by speed, %d crashes of the coordinator",
		ends, views, sum.followed, sum.carried, sum.dealt, sum.crashes)
	if ends[ExitDone] < 100 || ends[ExitQuorumLost] < 100 || views < 2000 || sum.followed < 100 || sum.carried < 100 || sum.dealt < 30 || sum.crashes < 500 {
		t.Error("the schedules are not what they should be")
	}
}

// play has things go wrong, then lets the run come to its end.
func (w *world) play() {
	for i := 0; i < 150 && w.done == nil && !w.t.Failed(); i++ {
		w.turn()
	}
	w.doomed = false
	for i := 0; i < 1000 && w.done == nil && !w.t.Failed(); i++ {
		w.recover()
		for _, n := range w.nodes {
			w.answer(n)
			w.fetch(n)
			if n.silent {
				w.feed(GossipFailed{n.name, n.id})
			}
		}
		w.goOn(w.ring())
		w.pass(200 * time.Millisecond)
	}
	switch {
	case w.t.Failed():
	case w.done == nil:
		w.t.Errorf("the run does not end: phase %d, %d nodes fit", w.core.phase, len(w.core.fit()))
	case w.done.ExitCode == ExitQuorumLost && w.left >= w.config.MinNodes && w.core.stop == nil:
		w.t.Errorf("the run ends though %d nodes are well: %s", w.left, w.done.Reason)
	case w.done.ExitCode == ExitDone && w.published != worldSteps:
		w.t.Errorf("the run is complete with %d steps", w.published)
	}
}

// well counts the nodes that could go on, if one of them holds the newest view's state.
func (w *world) well() (well int) {
	holders := 0
	for _, n := range w.nodes {
		if n.gone || n.silent || n.drained || n.owes != 0 || n.link.conn == 0 {
			continue
		}
		well++
		if n.generation == w.view.GetGeneration() && n.state != "" && n.step >= w.view.GetResumeStep() {
			holders++
		}
	}
	if holders == 0 {
		return 0
	}
	return well
}

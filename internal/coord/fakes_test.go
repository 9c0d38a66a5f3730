package coord

import (
	"fmt"
	"slices"

	pb "parallax/proto/parallax/v1"
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
	fetches    bool           // it has yet to fetch that view's state
	keeps      bool           // and keeps what it holds until then, since it was in a view before
	ready      *pb.Ready      // what it said when it was ready
	leave      bool           // it has been told to leave that after the step
	stop       bool           // it has been told to end the run after the step
	owes       uint64         // the generation of a halt order that it has yet to answer
	told       uint64         // the generation after which it last told what it holds
	order      *pb.FetchOrder // that it obeys while it is in no view
	near       bool           // it has said that it follows the members
	silent     bool           // it hangs
	saves      bool           // it is to write a checkpoint
	unfit      bool           // it has asked to leave, or could not save
	gone       bool           // it is dead, or has ended
}

// there reports whether a node can tell the core what it holds, and go on.
func (n *fake) there() bool {
	return !n.gone && !n.silent && !n.unfit && n.link.conn != 0
}

// come starts a node, which is ready at once with the state that all start from.
func (w *world) come(name string) {
	n := &fake{id: uint64(len(w.nodes) + 1), name: name, state: "s0"}
	w.nodes = append(w.nodes, n)
	w.attach(n)
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
		n.keeps, n.generation = n.generation > 0, k.View.Generation
		n.fetches = slices.ContainsFunc(k.View.Members, func(m *pb.Member) bool { return m.NodeId == n.name && m.Fetch })
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
	for _, n := range in {
		if n.fetches {
			n.hold(w.view.ResumeStep)
		}
	}
}

func (n *fake) hold(step int64) { n.step, n.state, n.fetches = step, fmt.Sprint("s", step), false }

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

// loseHolders has all members die who hold the newest view's state, where the others have
// yet to fetch it, and keep what they have.
func (w *world) loseHolders() {
	in, _ := w.ring()
	if !slices.ContainsFunc(in, func(n *fake) bool { return n.fetches && n.keeps }) {
		return
	}
	for _, n := range in {
		if !n.fetches {
			w.die(n)
		}
	}
}

// breakOff has a member find its ring broken. If it was to fetch it may have all of the
// state by then, or, if it keeps nothing, half of it.
func (w *world) breakOff(n *fake) {
	switch roll := w.IntN(8); {
	case n.fetches && roll == 0:
		n.hold(n.view.ResumeStep)
	case n.fetches && roll < 5 && !n.keeps:
		n.step, n.state = 0, ""
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
		r.Error, n.unfit = "full", true
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

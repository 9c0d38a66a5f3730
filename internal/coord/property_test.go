package coord

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"parallax/internal/config"
	pb "parallax/proto/parallax/v1"
)

// turn has something happen.
func (w *world) turn() {
	n := w.nodes[w.IntN(len(w.nodes))]
	in, whole := w.ring()
	switch w.IntN(28) {
	case 0:
		w.die(n)
	case 1:
		n.silent = w.IntN(3) == 0 || n.silent
	case 2:
		w.come(fmt.Sprint("n", len(w.nodes)))
	case 3:
		n.unfit = true
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
	case 17, 18:
		w.loseHolders()
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

var schedules = flag.Int("schedules", 1000, "how many random schedules to play")

var oneSeed = flag.Int64("seed", -1, "play only the random schedule of this seed, and tell its story")

// Whatever happens, also to the coordinator, no step is lost or told twice, every view is
// told once and can be trained in, and the run comes to an end.
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
	for seed := range uint64(*schedules) {
		w := newWorld(t, loaded.Spec, seed)
		w.play()
		if t.Failed() {
			t.Fatalf("again, with its story: go test ./internal/coord -run RandomSchedules -v -seed %d", seed)
		}
		ends[w.done.ExitCode]++
		views += w.view.GetGeneration()
		sum.followed, sum.carried, sum.dealt, sum.back, sum.crashes = sum.followed+w.followed, sum.carried+w.carried, sum.dealt+w.dealt, sum.back+w.back, sum.crashes+w.crashes
	}
	t.Logf("exit codes %v, %d views, %d joiners that followed, %d that the ring brought the state, %d deals by speed, %d views that go back, %d crashes of the coordinator",
		ends, views, sum.followed, sum.carried, sum.dealt, sum.back, sum.crashes)
	if ends[ExitDone] < 100 || ends[ExitQuorumLost] < 100 || views < 2000 || sum.followed < 100 || sum.carried < 100 || sum.dealt < 30 || sum.back < 10 || sum.crashes < 500 {
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
	case w.done.ExitCode == ExitBug:
		w.t.Errorf("the core takes for a bug what it made itself: %s", w.done.Reason)
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
		if !n.there() || n.owes != 0 {
			continue
		}
		well++
		if n.generation == w.view.GetGeneration() && n.state != "" && n.step+1 >= w.saved {
			holders++
		}
	}
	if holders == 0 {
		return 0
	}
	return well
}

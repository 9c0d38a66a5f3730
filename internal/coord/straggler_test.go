package coord

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"parallax/internal/config"
	pb "parallax/proto/parallax/v1"
	"parallax/shard"
)

// track is a core in a view of nodes whose speeds are made up.
type track struct {
	*rand.Rand
	core    *Core
	seconds []float64 // per micro-batch, without noise
	noise   float64   // share by which a step may differ
	deals   int
}

func newTrack(t *testing.T, seed uint64, slots int, noise float64, seconds ...float64) *track {
	t.Helper()
	loaded, err := config.Load(config.Sources{Preset: "tiny", Set: []string{"train.reduction=sum-exact"}})
	if err != nil {
		t.Fatal(err)
	}
	loaded.Spec.Train.Slots = slots
	c := New(Config{Nodes: len(seconds), StragglerFactor: 1.5})
	c.job = &Job{ID: "r", Submission: Submission{Spec: loaded.Spec}}
	for i := range seconds {
		c.ranks = append(c.ranks, &node{hello: &pb.Hello{NodeId: string(rune('a' + i))}, ready: &pb.Ready{}})
	}
	c.enter(c.makeView(0))
	return &track{Rand: rand.New(rand.NewPCG(seed, 1)), core: c, seconds: seconds, noise: noise}
}

// run makes steps, with a new view wherever one is asked for.
func (k *track) run(t *testing.T, steps int) {
	t.Helper()
	for range steps {
		noisy := slices.Clone(k.seconds)
		for rank := range noisy {
			noisy[rank] *= 1 + k.noise*(2*k.Float64()-1)
		}
		k.core.paced(noisy)
		if k.core.phase != parting {
			continue
		}
		k.deals++
		before := longest(k.core.slots(), k.seconds)
		k.core.enter(k.core.makeView(0))
		if after := longest(k.core.slots(), k.seconds); k.noise == 0 && after > worthwhile*before {
			t.Errorf("a new deal makes the longest rank's time %v of %v, by %v", after, before, k.seconds)
		}
		k.checkDeal(t)
	}
}

// checkDeal wants each slot to be dealt once, and each rank to have one.
func (k *track) checkDeal(t *testing.T) {
	t.Helper()
	if err := shard.CheckDeal(dealOf(k.core.view), k.core.job.Spec.Train.Slots); err != nil {
		t.Error(err)
	}
	if slots := k.core.slots(); slices.Min(slots) < 1 {
		t.Errorf("by %v the slots are dealt as %v", k.seconds, slots)
	}
}

// Whatever the speeds, deals are whole and gain time, and come to rest.
func TestSlotsFollowTheSpeeds(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		seconds := make([]float64, 2+r.IntN(7))
		for rank := range seconds {
			seconds[rank] = math.Exp(3 * r.Float64() * float64(r.IntN(2)))
		}
		k := newTrack(t, seed, len(seconds)+r.IntN(60), 0, seconds...)
		k.run(t, 2*windowSteps*steadyWindows)
		if k.deals > 1 {
			t.Errorf("seed %d: the slots were dealt %d times by speeds that do not change", seed, k.deals)
		}
		for rank := range k.seconds {
			k.seconds[rank] = 1
		}
		k.run(t, 2*windowSteps*steadyWindows)
		slots, best := k.core.slots(), make([]int, len(seconds))
		for rank, mine := range shard.Deal(k.core.job.Spec.Train.Slots, seconds) { // all are 1
			best[rank] = len(mine)
		}
		if worthwhile*float64(slices.Max(slots)) > float64(slices.Max(best)) {
			t.Errorf("seed %d: the ranks are equal again, and have %v slots, not %v", seed, slots, best)
		}
	}
}

// Noise moves nothing, and a straggler's slots move once.
func TestNoiseDoesNotMoveSlots(t *testing.T) {
	for seed := range uint64(50) {
		k := newTrack(t, seed, 16, 0.25, 1, 1, 1, 1)
		k.run(t, 1000)
		if k.deals != 0 {
			t.Errorf("seed %d: the slots of equal ranks were dealt %d times", seed, k.deals)
		}
		k.seconds[2] = 2.5
		k.run(t, 1000)
		if slots := k.core.slots(); k.deals != 1 || slots[2] != 2 {
			t.Errorf("seed %d: the slots were dealt %d times, to %v", seed, k.deals, slots)
		}
	}
}

// A clock that does not go on, as that of a simulation, names nobody.
func TestNoTimeNoStraggler(t *testing.T) {
	k := newTrack(t, 1, 8, 0, 0, 0)
	k.run(t, 100)
	k.seconds[1] = 1
	k.run(t, 100)
	if k.deals != 0 {
		t.Errorf("the slots were dealt %d times", k.deals)
	}
}

func TestWeights(t *testing.T) {
	for _, c := range []struct {
		name            string
		measured, shown []float64
		want            []int // slots of 12
	}{
		{"nothing known", []float64{0, 0, 0}, []float64{0, 0, 0}, []int{4, 4, 4}},
		{"measured at the start", []float64{2, 1, 1}, []float64{0, 0, 0}, []int{6, 3, 3}},
		{"shown by steps", []float64{2, 1, 1}, []float64{1, 1, 4}, []int{2, 2, 8}},
		{"one is new", []float64{9, 9, 9}, []float64{1, 0, 2}, []int{3, 4, 5}},
	} {
		var ranks []*node
		for i := range c.want {
			ranks = append(ranks, &node{ready: &pb.Ready{TokensPerSecond: c.measured[i]}, pace: pace{speed: c.shown[i]}})
		}
		var got []int
		for _, slots := range shard.Deal(12, weights(ranks)) {
			got = append(got, len(slots))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestStragglerFactorIsChecked(t *testing.T) {
	for factor, refused := range map[float64]bool{0: false, 1.01: false, 1.5: false, 1: true, 0.5: true, -2: true, math.NaN(): true, math.Inf(1): true} {
		o := Options{Nodes: 1, FailureTimeout: time.Second, RunDir: "r", Listen: "127.0.0.1:0", Gossip: "127.0.0.1:0", StragglerFactor: factor}
		err := o.check()
		if got := err != nil && strings.Contains(err.Error(), "--straggler-factor"); got != refused {
			t.Errorf("%v: %v, want refused: %t", factor, err, refused)
		}
	}
}

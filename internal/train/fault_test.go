package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"parallax/collective"
	"parallax/collective/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// faultWorld is the number of ranks in the tests of this file, faultStep the step
// in which one dies.
const (
	faultWorld = 3
	faultStep  = 3
)

// deaths are the places in a step where a rank can die, as the faults that make it
// die there. Three all-gathers of a step have one coordinate: those of the
// gradient's last bucket, of the accounts and of the updates; a rank sends
// world-1 frames in each, so a place is reached by frames that are let through.
var deaths = map[string]func(rank int) []mem.Fault{
	"first gradients": func(rank int) []mem.Fault { return die(rank, collective.ReduceScatter, 0, 0) },
	"last gradients":  func(rank int) []mem.Fault { return die(rank, collective.ReduceScatter, 1, 0) },
	"summed":          func(rank int) []mem.Fault { return die(rank, collective.AllGather, 0, 0) },
	"exchange":        func(rank int) []mem.Fault { return die(rank, collective.AllGather, 0, faultWorld-1) },
	"updates":         func(rank int) []mem.Fault { return die(rank, collective.AllGather, 0, 2*(faultWorld-1)) },
	"last updates":    func(rank int) []mem.Fault { return die(rank, collective.AllGather, 0, 3*(faultWorld-1)-1) },
}

// die lets some frames of a coordinate through, then breaks the rank's links.
func die(rank int, phase collective.Phase, bucket, after int) []mem.Fault {
	f := mem.Fault{Kind: mem.Delay, Rank: rank, Step: faultStep, Phase: phase, Bucket: bucket}
	var all []mem.Fault
	for range after {
		all = append(all, f)
	}
	f.Kind = mem.Fail
	return append(all, f)
}

// A rank that dies, wherever in a step, leaves the others whole: who has an error
// has not applied the step, to the bit; who has none has applied it. A new ring
// with a fresh rank in place of the dead one then ends with the bits of a run that
// was not disturbed.
func TestDeathInAStep(t *testing.T) {
	for _, reduction := range []string{"sum-f32", "sum-exact"} {
		// Large enough for two buckets.
		spec := testSpec(t, "train.reduction="+reduction, "model.width=64", "model.head_dim=32", "model.ffn=160", "train.steps=5")
		undisturbed := newCluster(t, spec, faultWorld)
		if n := len(undisturbed[0].view.reduction.buckets); n != 2 {
			t.Fatalf("the gradient has %d buckets, the test wants 2", n)
		}
		undisturbed.train(t, 5)
		want := undisturbed.digest(t)
		for place, faults := range deaths {
			for victim := range faultWorld {
				if testing.Short() && (victim != 1 || reduction != "sum-f32") {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/rank %d", reduction, place, victim), func(t *testing.T) {
					c := newCluster(t, spec, faultWorld, faults(victim)...)
					c.train(t, faultStep-1)
					c.loseStep(t, c.digest(t))
					c.replace(t, victim)
					c.train(t, 5-int(c[0].Applied()))
					if !bytes.Equal(c.digest(t), want) {
						t.Error("the run ends with other bits than the undisturbed one")
					}
				})
			}
		}
	}
}

// loseStep makes the step in which a rank dies.
func (c cluster) loseStep(t *testing.T, before []byte) {
	t.Helper()
	errs := make([]error, len(c))
	var wg sync.WaitGroup
	for rank, trainer := range c {
		wg.Go(func() { _, errs[rank] = trainer.Step(context.Background()) })
	}
	wg.Wait()
	broken := 0
	for rank, err := range errs {
		if err == nil {
			if c[rank].Applied() != faultStep {
				t.Errorf("rank %d has no error and %d steps", rank, c[rank].Applied())
			}
			continue
		}
		broken++
		var ring *collective.Error
		if !errors.As(err, &ring) {
			t.Errorf("rank %d: %v", rank, err)
		}
		if d, err := c[rank].Digest(); err != nil || !bytes.Equal(d, before) {
			t.Errorf("rank %d has an error and another state than before (%v)", rank, err)
		}
	}
	if broken == 0 {
		t.Error("nobody noticed")
	}
}

// replace puts a fresh rank in the place of a dead one, closes a new ring, and
// brings all to the state of the survivor that has applied the most steps.
func (c cluster) replace(t *testing.T, dead int) {
	t.Helper()
	c[dead] = newTestTrainer(t, c[dead].spec)
	root := (dead + 1) % len(c)
	for rank := range c {
		if c[rank].Applied() > c[root].Applied() {
			root = rank
		}
	}
	c.enter(t)
	most := c[root].Applied()
	c.synchronize(t, root, func(rank int) bool { return rank == dead || c[rank].Applied() < most })
}

// A step that its context ends has not happened either.
func TestInterruptedStep(t *testing.T) {
	spec := testSpec(t)
	undisturbed := newCluster(t, spec, 2)
	undisturbed.train(t, 3)
	c := newCluster(t, spec, 2)
	c.train(t, 1)
	before := c.digest(t)
	ended, end := context.WithCancel(context.Background())
	end()
	for rank, trainer := range c {
		if _, err := trainer.Step(ended); err == nil {
			t.Errorf("rank %d made a step under a context that has ended", rank)
		}
	}
	if !bytes.Equal(c.digest(t), before) {
		t.Error("an interrupted step has changed the state")
	}
	c.enter(t)
	c.train(t, 2)
	if !bytes.Equal(c.digest(t), undisturbed.digest(t)) {
		t.Error("the run ends with other bits than the undisturbed one")
	}
}

// A run whose numbers are none any more ends, on all ranks in the same step, and
// the state of before can be saved.
func TestDivergence(t *testing.T) {
	c := newCluster(t, testSpec(t, "optimizer.lr=1e30", "optimizer.adam_lr=1e30", "schedule.warmup=0"), 2)
	steps := make([]int64, len(c))
	c.each(t, func(rank int, trainer *Trainer) error {
		for {
			_, err := trainer.Step(context.Background())
			var diverged *DivergedError
			if errors.As(err, &diverged) {
				steps[rank] = diverged.Step
				return nil
			}
			if err != nil || trainer.Applied() == 12 {
				return fmt.Errorf("after step %d: %v, want divergence", trainer.Applied(), err)
			}
		}
	})
	if steps[0] != steps[1] || steps[0] != c[0].Applied()+1 {
		t.Errorf("the ranks diverged at steps %v, after %d", steps, c[0].Applied())
	}
	c.digest(t)
	if _, err := c[0].Snapshot(&HostState{}); err != nil {
		t.Error(err)
	}
}

// A rank that dies while others fetch a state hurts only those who have nothing that they
// keep meanwhile, and they know.
func TestDeathWhileFetching(t *testing.T) {
	for _, reduction := range []string{"sum-f32", "sum-exact"} {
		for bucket := range 5 {
			spec := testSpec(t, "train.reduction="+reduction)
			c := newCluster(t, spec, 4)
			c.train(t, 2)
			older := digest(t, c[3])
			c = cluster{c[0], c[1], c[2], newTestTrainer(t, spec), c[3]}
			c[:3].enter(t)
			c[:3].train(t, 1)
			want := digest(t, c[0])
			c.enter(t, mem.Fault{Kind: mem.Fail, Rank: 1, Step: 0, Phase: collective.Broadcast, Bucket: bucket})
			errs := c.fetch(0, want, func(rank int) bool { return rank > 2 })
			for rank, trainer := range c[:3] {
				if errs[rank] == nil || !bytes.Equal(digest(t, trainer), want) || trainer.Whole() != nil {
					t.Errorf("part %d, rank %d: %v, and its state has changed", bucket, rank, errs[rank])
				}
			}
			if _, err := c[3].Step(context.Background()); err == nil || c[3].Whole() == nil {
				t.Errorf("part %d: half a state is taken for whole: %v, %v", bucket, err, c[3].Whole())
			}
			if errs[4] == nil || c[4].Whole() != nil || c[4].Applied() != 2 || !bytes.Equal(digest(t, c[4]), older) {
				t.Errorf("part %d: who keeps step 2 holds step %d: %v, %v", bucket, c[4].Applied(), errs[4], c[4].Whole())
			}
			c.enter(t)
			c.synchronize(t, 1, func(rank int) bool { return rank > 2 })
			if !bytes.Equal(c.digest(t), want) {
				t.Error("the second attempt brings another state")
			}
			c.train(t, 1)
		}
	}
}

// A state that is not the one that was sent is nobody's: who keeps its own goes on with it.
func TestFetchedStateIsVerified(t *testing.T) {
	for _, keep := range []bool{true, false} {
		c := newCluster(t, testSpec(t), 2)
		c.train(t, 1)
		own := digest(t, c[1])
		c[0].applied++ // another state than is said to come
		var root sync.WaitGroup
		root.Go(func() { _ = c[0].Synchronize(context.Background(), Sync{Root: 0}) })
		err := c[1].Synchronize(context.Background(), Sync{Root: 0, Digest: own, Fetch: true, Keep: keep})
		c[1].view.comm.Close()
		root.Wait()
		if other := new(DigestError); !errors.As(err, &other) {
			t.Errorf("keep %t: a state with another digest is taken: %v", keep, err)
		}
		if whole := c[1].Whole() == nil; whole != keep || keep && !bytes.Equal(digest(t, c[1]), own) {
			t.Errorf("keep %t: what is held then is whole: %t", keep, whole)
		}
	}
}

// fetch sends the root's state round; of those who fetch it the last rank keeps its own.
func (c cluster) fetch(root int, want []byte, fetches func(rank int) bool) []error {
	errs := make([]error, len(c))
	var wg sync.WaitGroup
	for rank, trainer := range c {
		wg.Go(func() {
			errs[rank] = trainer.Synchronize(context.Background(),
				Sync{Root: root, Digest: want, Fetch: fetches(rank), Keep: rank == len(c)-1})
			if errs[rank] != nil {
				trainer.view.comm.Close()
			}
		})
	}
	wg.Wait()
	return errs
}

// synchronize is fetch where nothing goes wrong.
func (c cluster) synchronize(t *testing.T, root int, fetches func(rank int) bool) {
	t.Helper()
	for rank, err := range c.fetch(root, digest(t, c[root]), fetches) {
		if err != nil {
			t.Fatalf("rank %d: %v", rank, err)
		}
	}
}

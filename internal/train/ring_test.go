package train

import (
	"bytes"
	"context"
	"math"
	"sync"
	"testing"
	"time"

	"parallax/collective"
	"parallax/collective/mem"
	"parallax/internal/config"
	"parallax/shard"
)

// cluster is the trainers of a ring in one process.
type cluster []*Trainer

// newCluster makes n trainers of a spec and enters them into a ring, with equal
// shares of the slots, in which the faults happen.
func newCluster(t testing.TB, spec config.Spec, n int, faults ...mem.Fault) cluster {
	t.Helper()
	c := make(cluster, n)
	for i := range c {
		c[i] = newTestTrainer(t, spec)
	}
	c.enter(t, faults...)
	return c
}

func (c cluster) enter(t testing.TB, faults ...mem.Fault) {
	t.Helper()
	members := make([]collective.Member, len(c))
	for i := range members {
		members[i].Name = string(rune('a' + i))
	}
	transports := mem.NewRing(len(c), faults...)
	slots := shard.Deal(c[0].spec.Train.Slots, make([]float64, len(c)))
	for rank, trainer := range c {
		var transport collective.Transport
		if len(c) > 1 {
			transport = transports[rank]
		}
		// On a busy machine a rank may be silent for long: none is lost for that here.
		comm, err := collective.New(collective.Config{Generation: 1, Rank: rank, Members: members, Timeout: time.Minute}, transport)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { comm.Close() })
		if err := trainer.Enter(View{Comm: comm, Slots: slots}); err != nil {
			t.Fatal(err)
		}
	}
}

// each runs f on every rank at once, and fails the test where one does.
func (c cluster) each(t testing.TB, f func(rank int, trainer *Trainer) error) {
	t.Helper()
	errs := make([]error, len(c))
	var wg sync.WaitGroup
	for rank, trainer := range c {
		wg.Go(func() { errs[rank] = f(rank, trainer) })
	}
	wg.Wait()
	for rank, err := range errs {
		if err != nil {
			t.Fatalf("rank %d: %v", rank, err)
		}
	}
}

// train makes n steps and returns rank 0's losses.
func (c cluster) train(t *testing.T, n int) []float64 {
	t.Helper()
	losses := make([][]float64, len(c))
	c.each(t, func(rank int, trainer *Trainer) error {
		for range n {
			r, err := trainer.Step(context.Background())
			if err != nil {
				return err
			}
			losses[rank] = append(losses[rank], r.Loss)
		}
		return nil
	})
	for rank := range losses {
		for i, loss := range losses[rank] {
			if loss != losses[0][i] {
				t.Fatalf("step %d: rank %d has loss %v, rank 0 %v", i+1, rank, loss, losses[0][i])
			}
		}
	}
	return losses[0]
}

func (c cluster) digest(t *testing.T) []byte {
	t.Helper()
	first, err := c[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	for rank, trainer := range c[1:] {
		if d, err := trainer.Digest(); err != nil || !bytes.Equal(d, first) {
			t.Fatalf("rank %d has another state than rank 0 (%v)", rank+1, err)
		}
	}
	return first
}

// The loss curves of 1, 2, 3 and 4 ranks agree; those of one world are the same
// to the bit.
func TestWorldsAgree(t *testing.T) {
	for _, op := range []struct {
		name string
		tol  float64
	}{{"sum-f32", 1e-4}, {"sum-bf16", 2e-2}} {
		t.Run(op.name, func(t *testing.T) {
			spec := testSpec(t, "train.reduction="+op.name)
			want := newCluster(t, spec, 1).train(t, 8)
			for _, world := range []int{2, 3, 4} {
				c := newCluster(t, spec, world)
				got := c.train(t, 8)
				for i := range want {
					if math.Abs(got[i]-want[i]) > op.tol*want[i] {
						t.Errorf("world %d, step %d: loss %v, alone %v", world, i+1, got[i], want[i])
					}
				}
				again := newCluster(t, spec, world)
				again.train(t, 8)
				if !bytes.Equal(again.digest(t), c.digest(t)) {
					t.Errorf("world %d: the same run twice ends in different bits", world)
				}
			}
		})
	}
}

// More ranks than slots, and documents, and AdamW alone.
func TestIdleRanksAndVariants(t *testing.T) {
	for _, set := range [][]string{
		{"train.slots=2"},
		{"data.documents=true"},
		{"optimizer.name=adamw", "optimizer.adam_lr=0.003"},
		{"optimizer.per_head=true", "model.qk_norm=true", "model.tied_head=false"},
	} {
		t.Run(set[0], func(t *testing.T) {
			spec := testSpec(t, set...)
			want := newCluster(t, spec, 1).train(t, 4)
			c := newCluster(t, spec, 3)
			got := c.train(t, 4)
			c.digest(t)
			for i := range want {
				if math.Abs(got[i]-want[i]) > 1e-4*want[i] {
					t.Errorf("step %d: loss %v on three ranks, %v alone", i+1, got[i], want[i])
				}
			}
		})
	}
}

// A rank that asks to stop stops all, after the same step.
func TestStopTogether(t *testing.T) {
	c := newCluster(t, testSpec(t), 3)
	c[2].Ask(Stop)
	c.each(t, func(_ int, trainer *Trainer) error {
		r, err := trainer.Step(context.Background())
		if err == nil && r.Wish != Stop {
			t.Error("a step after a request to stop says nothing of it")
		}
		return err
	})
}

// Evaluation gives the same bits on any world, and leaves the state alone.
func TestEvaluate(t *testing.T) {
	spec := testSpec(t)
	alone, three := newCluster(t, spec, 1), newCluster(t, spec, 3)
	before := three.digest(t)
	want, err := alone[0].Evaluate(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	three.each(t, func(rank int, trainer *Trainer) error {
		got, err := trainer.Evaluate(context.Background())
		if got.Loss != want.Loss || got.Tokens != want.Tokens {
			t.Errorf("rank %d: loss %v over %d tokens, alone %v over %d", rank, got.Loss, got.Tokens, want.Loss, want.Tokens)
		}
		return err
	})
	if !bytes.Equal(before, three.digest(t)) {
		t.Error("an evaluation changes the state")
	}
}

// What a rank sends is what the ring's arithmetic says: of the gradient
// 2(n-1)/n, of the updates all but the part of the next rank.
func TestWireBytes(t *testing.T) {
	const n = 4
	c := newCluster(t, testSpec(t), n)
	sent := make([]int64, n)
	c.each(t, func(rank int, trainer *Trainer) error {
		r, err := trainer.Step(context.Background())
		sent[rank] = r.WireBytes
		return err
	})
	for rank, trainer := range c {
		bounds := trainer.view.updateBounds
		next := (rank + 1) % n
		gradient := 4 * float64(trainer.model.Layout().Size) * 2 * (n - 1) / n
		updates := 4 * float64(bounds[n]-(bounds[next+1]-bounds[next]))
		want := gradient + updates
		if got := float64(sent[rank]); math.Abs(got-want) > 0.02*want {
			t.Errorf("rank %d sent %.0f bytes, want %.0f", rank, got, want)
		}
	}
}

// Synchronize brings a fresh rank to the state of one that has trained, and they
// go on as one.
func TestSynchronize(t *testing.T) {
	spec := testSpec(t)
	c := newCluster(t, spec, 2)
	c.train(t, 3)
	c = cluster{newTestTrainer(t, spec), c[1]}
	c.enter(t)
	c.synchronize(t, 1, func(rank int) bool { return rank == 0 })
	if c[0].Applied() != 3 {
		t.Errorf("the fresh rank says %d steps are applied, want 3", c[0].Applied())
	}
	c.digest(t)
	c.train(t, 2)
	c.digest(t)
}

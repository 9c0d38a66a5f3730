package train

import (
	"bytes"
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"parallax/internal/checkpoint"
	"parallax/kernels"
)

var exactWorlds = []int{1, 2, 3, 4, 7}

// run makes steps on every rank and returns the losses, how many steps were
// computed twice, and the digest that all ranks have.
func (c cluster) run(t *testing.T, steps int) (losses []float64, again int, digest []byte) {
	t.Helper()
	reports := make([][]Report, len(c))
	c.each(t, func(rank int, trainer *Trainer) error {
		for range steps {
			r, err := trainer.Step(context.Background())
			if err != nil {
				return err
			}
			reports[rank] = append(reports[rank], r)
		}
		return nil
	})
	for _, r := range reports[0] {
		losses = append(losses, r.Loss)
		if r.Recomputed {
			again++
		}
	}
	return losses, again, c.digest(t)
}

func (c cluster) close() {
	for _, trainer := range c {
		trainer.Close()
	}
}

// The same bits on any number of ranks, among them more ranks than slots: losses,
// parameters, optimizer state, exponents, and the evaluation.
func TestExactOnAnyWorld(t *testing.T) {
	for _, set := range [][]string{
		{"model.mixer=parallax", "data.documents=true"},
		{"model.mixer=softmax", "optimizer.name=adamw", "optimizer.adam_lr=0.003"},
		{"model.qk_norm=true", "optimizer.per_head=true", "train.slots=7", "optimizer.clip_norm=0.5"},
		{"model.mixer=softmax", "model.tied_head=false", "train.slots=2"},
	} {
		t.Run(set[0]+" "+set[len(set)-1], func(t *testing.T) {
			spec := testSpec(t, append(set, "train.reduction=sum-exact", "train.steps=20")...)
			var losses []float64
			var digest []byte
			for _, world := range exactWorlds {
				c := newCluster(t, spec, world)
				got, again, end := c.run(t, 20)
				if digest == nil {
					losses, digest = got, end
					if again < 1 || again > 3 {
						t.Errorf("%d of 20 steps were computed twice: want the first, and hardly another", again)
					}
				}
				if !slices.Equal(got, losses) {
					t.Errorf("%d ranks have the losses %v, one has %v", world, got, losses)
				}
				if !bytes.Equal(end, digest) {
					t.Errorf("%d ranks end in another state than one", world)
				}
			}
		})
	}
}

// spike trains for some steps, with a loss that becomes very steep in the middle
// because the head's weights are blown up on every rank.
func (c cluster) spike(t *testing.T) (again int, digest []byte) {
	t.Helper()
	c.run(t, 3)
	c.each(t, func(_ int, trainer *Trainer) error {
		p, _ := trainer.model.Layout().Find("model.norm.weight")
		blown := trainer.model.Params().Slice(p.Offset, p.Offset+p.Len())
		return kernels.WriteFloats(trainer.be, blown, slices.Repeat([]float64{300}, p.Len()))
	})
	_, again, digest = c.run(t, 3)
	return again, digest
}

// A gradient that outgrows its exponent is seen by all, and the step made again to
// the same bits on any world.
func TestExactOverflow(t *testing.T) {
	spec := testSpec(t, "train.reduction=sum-exact")
	var want []byte
	for _, world := range exactWorlds {
		again, digest := newCluster(t, spec, world).spike(t)
		if again != 1 {
			t.Errorf("%d ranks: %d steps after the spike were computed twice, want 1", world, again)
		}
		if want == nil {
			want = digest
		}
		if !bytes.Equal(digest, want) {
			t.Errorf("%d ranks end in another state than one", world)
		}
	}
}

// Where a gradient is no number the run has diverged, and nothing has changed.
func TestExactDiverges(t *testing.T) {
	c := newCluster(t, testSpec(t, "train.reduction=sum-exact"), 2)
	c.run(t, 2)
	c.each(t, func(_ int, trainer *Trainer) error {
		p, _ := trainer.model.Layout().Find("model.norm.weight")
		return kernels.WriteFloats(trainer.be, trainer.model.Params().Slice(p.Offset, p.Offset+1), []float64{math.Inf(1)})
	})
	before := c.digest(t)
	c.each(t, func(_ int, trainer *Trainer) error {
		var diverged *DivergedError
		if _, err := trainer.Step(context.Background()); !errors.As(err, &diverged) || diverged.Step != 3 {
			t.Errorf("error %v, want a DivergedError of step 3", err)
		}
		return nil
	})
	if !bytes.Equal(before, c.digest(t)) {
		t.Error("a step that diverged has changed the state")
	}
}

// The reduced gradient against the sum in float64 of the micro-batches' float32
// gradients: the largest error of an element, relative to the largest magnitude of
// its tensor, and the error's norm relative to the gradient's. In the third step,
// whose exponents come from the second.
func TestExactError(t *testing.T) {
	spec := testSpec(t, "train.reduction=sum-exact", "train.slots=8")
	c := newCluster(t, spec, 1)
	c.run(t, 2)
	trainer := c[0]
	want := microBatchSum(t, trainer)
	var w stopwatch
	w.start()
	if p, err := trainer.gradient(context.Background(), &w); err != nil || p.again {
		t.Fatalf("the third step's gradient: computed again %v, %v", p.again, err)
	}
	trainer.exact.restore(trainer.model.Grads())
	got, err := kernels.ReadFloats(trainer.be, trainer.model.Grads())
	if err != nil {
		t.Fatal(err)
	}
	var error2, norm2, worst float64
	for _, p := range trainer.model.Layout().Params {
		errMax, refMax := 0.0, 0.0
		for i := p.Offset; i < p.Offset+p.Len(); i++ {
			diff := math.Abs(got[i] - want[i])
			errMax, refMax = max(errMax, diff), max(refMax, math.Abs(want[i]))
			error2, norm2 = error2+diff*diff, norm2+want[i]*want[i]
		}
		worst = max(worst, errMax/refMax)
	}
	norm := math.Sqrt(error2 / norm2)
	t.Logf("largest error of an element %.2g of its tensor's largest, error's norm %.2g of the gradient's", worst, norm)
	if worst > 1e-6 || norm > 1e-6 {
		t.Errorf("largest error of an element %.2g of its tensor's largest, error's norm %.2g of the gradient's: want 1e-6 at most", worst, norm)
	}
}

// microBatchSum is the next step's gradient, added up in float64.
func microBatchSum(t *testing.T, trainer *Trainer) []float64 {
	t.Helper()
	if err := trainer.loadStep(); err != nil {
		t.Fatal(err)
	}
	scale := 1 / float64(trainer.spec.Train.Slots*trainer.positions())
	sum := make([]float64, trainer.model.Layout().Size)
	for _, b := range trainer.view.loader.batches {
		trainer.model.ZeroGrads()
		trainer.model.ForwardBackward(b.device, scale, nil)
		g, err := kernels.ReadFloats(trainer.be, trainer.model.Grads())
		if err != nil {
			t.Fatal(err)
		}
		for i := range sum {
			sum[i] += g[i]
		}
	}
	return sum
}

// A run that stops, is saved, and goes on on another number of ranks ends in the
// same bits as one that did not stop.
func TestExactResume(t *testing.T) {
	spec := testSpec(t, "train.reduction=sum-exact")
	_, _, want := newCluster(t, spec, 2).run(t, 8)
	c := newCluster(t, spec, 3)
	c.run(t, 4)
	at := save(t, c[0])
	for _, world := range []int{1, 4} {
		resumed := make(cluster, world)
		for i := range resumed {
			resumed[i] = newTestTrainer(t, spec)
			restore(t, resumed[i], at)
		}
		resumed.enter(t)
		if again, got, _ := resumed.after(t, 4, want); again != 0 || !got {
			t.Errorf("%d ranks, resumed: %d steps computed twice, same bits as without stopping: %v", world, again, got)
		}
	}
}

func (c cluster) after(t *testing.T, steps int, want []byte) (again int, same bool, digest []byte) {
	_, again, digest = c.run(t, steps)
	return again, bytes.Equal(digest, want), digest
}

// save writes a checkpoint and returns its folder.
func save(t *testing.T, trainer *Trainer) string {
	t.Helper()
	s, err := trainer.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	s.RunID, s.Spec, s.SpecHash = "test", "test", "test"
	saved, err := checkpoint.Save(t.TempDir(), s, 1)
	if err != nil {
		t.Fatal(err)
	}
	return saved.Path
}

func restore(t *testing.T, trainer *Trainer, dir string) {
	t.Helper()
	c, err := checkpoint.Load(dir, checkpoint.Want{Layout: trainer.Layout()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := trainer.Restore(c); err != nil {
		t.Fatal(err)
	}
}

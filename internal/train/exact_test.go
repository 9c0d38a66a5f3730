package train

import (
	"bytes"
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"parallax/collective"
	"parallax/collective/mem"
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

// setNorm sets the gain of the last norm to x on every rank, and with it the scale
// of all gradients.
func (c cluster) setNorm(t *testing.T, x float64) {
	t.Helper()
	c.each(t, func(_ int, trainer *Trainer) error {
		p, _ := trainer.model.Layout().Find("model.norm.weight")
		gain := trainer.model.Params().Slice(p.Offset, p.Offset+p.Len())
		return kernels.WriteFloats(trainer.be, gain, slices.Repeat([]float64{x}, p.Len()))
	})
}

// A gradient that outgrows its exponent is seen by all, and the step made again to
// the same bits on any world.
func TestExactOverflow(t *testing.T) {
	spec := testSpec(t, "train.reduction=sum-exact")
	var want []byte
	for _, world := range exactWorlds {
		c := newCluster(t, spec, world)
		c.run(t, 3)
		c.setNorm(t, 300)
		_, again, digest := c.run(t, 3)
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
	c.setNorm(t, math.Inf(1))
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
// gradients, in the third step, whose exponents come from the second: the largest
// error of an element, relative to the largest magnitude in its tensor, and the
// norm of the error, relative to the norm of the gradient.
func TestExactError(t *testing.T) {
	for _, slots := range []string{"1", "8", "64"} {
		c := newCluster(t, testSpec(t, "train.reduction=sum-exact", "train.slots="+slots), 1)
		c.run(t, 2)
		element, norm := reductionError(t, c[0])
		t.Logf("%s slots: largest error of an element %.2g of its tensor's largest, of the norm %.2g", slots, element, norm)
		if element > 1e-6 || norm > 1e-6 {
			t.Errorf("%s slots: largest error of an element %.2g of its tensor's largest, of the norm %.2g: want 1e-6 at most", slots, element, norm)
		}
	}
}

// reductionError makes the next step's gradient, twice.
func reductionError(t *testing.T, trainer *Trainer) (element, norm float64) {
	t.Helper()
	want := microBatchSum(t, trainer)
	var w stopwatch
	w.start()
	if p, err := trainer.gradient(context.Background(), &w); err != nil || p.again {
		t.Fatalf("the gradient was computed again: %v; %v", p.again, err)
	}
	trainer.exact.restore()
	got, err := kernels.ReadFloats(trainer.be, trainer.model.Grads())
	if err != nil {
		t.Fatal(err)
	}
	var error2, norm2 float64
	for _, p := range trainer.model.Layout().Params {
		errMax, refMax := 0.0, 0.0
		for i := p.Offset; i < p.Offset+p.Len(); i++ {
			diff := math.Abs(got[i] - want[i])
			errMax, refMax = max(errMax, diff), max(refMax, math.Abs(want[i]))
			error2, norm2 = error2+diff*diff, norm2+want[i]*want[i]
		}
		element = max(element, errMax/refMax)
	}
	return element, math.Sqrt(error2 / norm2)
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
		_, again, got := resumed.run(t, 4)
		if again != 0 || !bytes.Equal(got, want) {
			t.Errorf("%d ranks, resumed: %d steps computed twice, and the bits of not stopping: %v", world, again, bytes.Equal(got, want))
		}
	}
}

// save writes a checkpoint and returns its folder.
func save(t *testing.T, trainer *Trainer) string {
	t.Helper()
	s, err := trainer.Snapshot(&HostState{})
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

// A checkpoint whose exponents are none is refused.
func TestExactRefusesBadExponents(t *testing.T) {
	for _, bad := range []float32{97, -96, 0.5, float32(math.NaN())} {
		trainer := newTestTrainer(t, testSpec(t, "train.reduction=sum-exact"))
		s, err := trainer.Snapshot(&HostState{})
		if err != nil {
			t.Fatal(err)
		}
		s.Optimizer[len(s.Optimizer)-1].Data[2] = bad
		s.RunID, s.Spec, s.SpecHash = "test", "test", "test"
		saved, err := checkpoint.Save(t.TempDir(), s, 1)
		if err != nil {
			t.Fatal(err)
		}
		c, err := checkpoint.Load(saved.Path, checkpoint.Want{Layout: trainer.Layout()})
		if err != nil {
			t.Fatal(err)
		}
		if err := trainer.Restore(c); err == nil || !strings.Contains(err.Error(), "exact.exponents has") {
			t.Errorf("an exponent of %v: error %v", bad, err)
		}
		c.Close()
	}
}

// A rank dies at some moment of the first step, whose gradient is computed twice,
// and the others go on without it: the bits are those of one rank alone, whether or
// not the exponents had been raised.
func TestExactLosesARank(t *testing.T) {
	spec := testSpec(t, "train.reduction=sum-exact")
	_, _, want := newCluster(t, spec, 1).run(t, 3)
	for frames := range 10 {
		var faults []mem.Fault
		for i := range frames + 1 {
			f := mem.Fault{Kind: mem.Delay, Rank: 1, Step: 1, Phase: collective.AllGather}
			if i == frames {
				f.Kind = mem.Fail
			}
			faults = append(faults, f)
		}
		c := newCluster(t, spec, 3, faults...)
		errs := make([]error, len(c))
		var wg sync.WaitGroup
		for rank, trainer := range c {
			wg.Go(func() { _, errs[rank] = trainer.Step(context.Background()) })
		}
		wg.Wait()
		if errs[0] == nil && errs[2] == nil {
			t.Fatalf("after %d frames rank 1 did not die in step 1", frames)
		}
		c = cluster{c[0], c[2]}
		c.enter(t)
		c.catchUp(t)
		if _, _, got := c.run(t, 3-int(c[0].Applied())); !bytes.Equal(got, want) {
			t.Errorf("a death after %d frames of the first step changes the result", frames)
		}
	}
}

// catchUp brings who has not applied the last step to the state of who has.
func (c cluster) catchUp(t *testing.T) {
	t.Helper()
	root := 0
	for rank, trainer := range c {
		if trainer.Applied() > c[root].Applied() {
			root = rank
		}
	}
	most := c[root].Applied()
	c.synchronize(t, root, func(rank int) bool { return c[rank].Applied() < most })
}

// What travels is as much as with sum-f32, but for the magnitudes: 8 bytes for each
// parameter, to every other rank.
func TestExactWireBytes(t *testing.T) {
	const n = 4
	sent := map[string]int64{}
	for _, reduction := range []string{"sum-f32", "sum-exact"} {
		c := newCluster(t, testSpec(t, "train.reduction="+reduction), n)
		c.run(t, 1)
		c.each(t, func(rank int, trainer *Trainer) error {
			r, err := trainer.Step(context.Background())
			if rank == 0 {
				sent[reduction] = r.WireBytes
			}
			return err
		})
		if reduction == "sum-exact" {
			sent["magnitudes"] = int64(8 * len(c[0].exact.params) * (n - 1))
		}
	}
	if got, want := sent["sum-exact"], sent["sum-f32"]+sent["magnitudes"]; got != want {
		t.Errorf("sum-exact sent %d bytes, want %d: %v", got, want, sent)
	}
}

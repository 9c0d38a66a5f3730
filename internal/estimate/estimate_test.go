package estimate

import (
	"context"
	"math"
	"testing"

	"parallax/collective"
	"parallax/collective/mem"
	"parallax/internal/config"
	"parallax/internal/train"
	"parallax/kernels"
	_ "parallax/kernels/cpu"
	"parallax/shard"
)

// ones is a source of nothing but ones.
type ones struct{ seqLen int }

func (s ones) SeqLen() int               { return s.seqLen }
func (s ones) Vocabulary() int           { return 256 }
func (s ones) Sequences(shard.Split) int { return 40 }

func (s ones) Fill(_ shard.Split, indices []int, tokens, targets, docStart []int32) int {
	for i := range tokens {
		tokens[i], targets[i] = 1, 1
	}
	clear(docStart)
	return len(tokens)
}

// meter is a backend that adds up the bytes it is asked for.
type meter struct {
	kernels.Backend
	bytes int64
}

func (m *meter) Alloc(dt kernels.DType, n int) (kernels.Buffer, error) {
	m.bytes += int64(n * dt.Size())
	return m.Backend.Alloc(dt, n)
}

func testRun(t *testing.T, nodes int, set ...string) Run {
	t.Helper()
	loaded, err := config.Load(config.Sources{Preset: "tiny", Set: append([]string{
		"model.vocabulary=256", "model.width=32", "model.head_dim=16", "model.ffn=48", "train.seq_len=24", "diagnostics.every=1"}, set...)})
	if err != nil {
		t.Fatal(err)
	}
	m, err := train.ModelConfig(loaded.Spec, 256)
	if err != nil {
		t.Fatal(err)
	}
	return Run{Spec: loaded.Spec, Model: m, Nodes: nodes, Precision: kernels.Precision{Compute: kernels.F32, Master: kernels.F32}, Lanes: 1}
}

func estimate(t *testing.T, r Run) *Estimate {
	t.Helper()
	e, err := New(r)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// trainers enters a ring of r.Nodes trainers.
func trainers(t *testing.T, r Run) (all []*train.Trainer, meters []*meter) {
	t.Helper()
	members := make([]collective.Member, r.Nodes)
	ring := mem.NewRing(r.Nodes)
	deal := shard.Deal(r.Spec.Train.Slots, make([]float64, r.Nodes))
	for rank := range r.Nodes {
		be, err := kernels.Open("cpu", kernels.Options{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		m := &meter{Backend: be}
		trainer, err := train.New(m, r.Spec, ones{r.Spec.Train.SeqLen})
		if err != nil {
			t.Fatal(err)
		}
		comm, err := collective.New(collective.Config{Generation: 1, Rank: rank, Members: members}, ring[rank])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { comm.Close(); trainer.Close(); be.Close() })
		if err := trainer.Enter(train.View{Comm: comm, Slots: deal}); err != nil {
			t.Fatal(err)
		}
		all, meters = append(all, trainer), append(meters, m)
	}
	return all, meters
}

// TestMemoryIsWhatTrainingAllocates holds the device's parts against a trainer's
// allocations.
func TestMemoryIsWhatTrainingAllocates(t *testing.T) {
	for _, set := range [][]string{
		nil, {"optimizer.name=adamw"}, {"data.documents=true"}, {"model.mixer=softmax"}, {"train.slots=5"}, {"train.reduction=sum-exact"},
		{"train.recompute=layer"}, {"diagnostics.every=0"},
	} {
		r := testRun(t, 2, set...)
		m := estimate(t, r).Memory
		all, meters := trainers(t, r)
		step(t, all)
		if r.Spec.Diagnostics.Every > 0 {
			if _, err := all[0].Diagnose(); err != nil {
				t.Fatal(err)
			}
		}
		if want, got := m.Total()-m.Host(), meters[0].bytes; want != got {
			t.Errorf("%v: %d bytes on the device estimated, %d allocated", set, want, got)
		}
	}
}

// TestTrafficIsWhatTheRingSends holds the traffic against a step's: what is left
// out, frames' headers and the exchange of losses and times, is little.
func TestTrafficIsWhatTheRingSends(t *testing.T) {
	for _, set := range [][]string{nil, {"optimizer.name=adamw"}, {"train.reduction=sum-bf16"}, {"train.reduction=sum-exact"}} {
		r := testRun(t, 3, append(set, "model.width=128", "model.ffn=256")...)
		want := float64(estimate(t, r).Traffic.Total())
		got := float64(sentInAStep(t, r)) / 3
		if share := got / want; share < 1 || share > 1.03 {
			t.Errorf("%v: %.0f bytes estimated, %.0f sent", set, want, got)
		}
	}
}

// sentInAStep is what all ranks send; the second step, because sum-exact computes
// the first one twice.
func sentInAStep(t *testing.T, r Run) (sum int64) {
	t.Helper()
	all, _ := trainers(t, r)
	step(t, all)
	return step(t, all)
}

// step has all trainers make a step, and returns what they have sent.
func step(t *testing.T, all []*train.Trainer) (sent int64) {
	t.Helper()
	type result struct {
		report train.Report
		err    error
	}
	results := make(chan result, len(all))
	for _, trainer := range all {
		go func() {
			report, err := trainer.Step(context.Background())
			results <- result{report, err}
		}()
	}
	for range all {
		got := <-results
		if got.err != nil {
			t.Fatal(got.err)
		}
		sent += got.report.WireBytes
	}
	return sent
}

func TestCounts(t *testing.T) {
	r := testRun(t, 3, "train.slots=5", "train.micro_batch=2")
	e := estimate(t, r)
	if e.TokensPerStep != 5*2*24 || e.BusiestSlots != 2 || e.Parameters != r.Model.Parameters() {
		t.Errorf("%+v", e)
	}
	if got := (Memory{{"a", 2, true, ""}, {"b", 5, false, ""}}); got.Total() != 7 || got.Host() != 2 || got.Largest().Name != "b" {
		t.Errorf("total %d, host %d, largest %s", got.Total(), got.Host(), got.Largest().Name)
	}
	if one := estimate(t, testRun(t, 1)); one.Traffic.Total() != 0 || len(one.Memory) != len(e.Memory)-1 {
		t.Errorf("one node: %+v", one)
	}
	if _, err := New(Run{Spec: r.Spec, Model: r.Model}); err == nil {
		t.Error("no nodes: taken")
	}
}

// On hosts of their own the busiest rank's two slots of five decide, on one host
// all five.
func TestSeconds(t *testing.T) {
	r := testRun(t, 3, "train.slots=5", "optimizer.name=adamw")
	perSlot := float64(r.Spec.Train.MicroBatch) * 24 * r.Model.FLOPsPerToken(24)
	apart := estimate(t, r)
	r.OneHost = true
	together := estimate(t, r)
	for _, c := range []struct{ got, want float64 }{
		{apart.SecondsAtStepRate(1e6), 2 * perSlot / 1e6},
		{together.SecondsAtStepRate(1e6), 5 * perSlot / 1e6},
		{apart.SecondsInProducts(1e6), 2 * perSlot / 1e6}, // adamw has no Newton-Schulz
	} {
		if math.Abs(c.got/c.want-1) > 1e-9 {
			t.Errorf("%g s, want %g", c.got, c.want)
		}
	}
	r.Model.Recompute = true
	again := 5 * float64(r.Spec.Train.MicroBatch) * float64(r.Model.RecomputedFLOPs(24))
	slower := estimate(t, r)
	if got, want := slower.SecondsInProducts(1e6), (5*perSlot+again)/1e6; again == 0 || math.Abs(got/want-1) > 1e-9 {
		t.Errorf("recomputed: %g s, want %g", got, want)
	}
	if slower.SecondsAtStepRate(1e6) != together.SecondsAtStepRate(1e6) || slower.Memory.Total() >= together.Memory.Total() {
		t.Error("recomputation counts as model FLOPs, or saves nothing")
	}
	r.Model.Recompute = false
	r.Spec.Optimizer.Name = "muon"
	if muon := estimate(t, r); muon.SecondsInProducts(1e6) <= together.SecondsInProducts(1e6) {
		t.Error("Newton-Schulz takes no time")
	}
}

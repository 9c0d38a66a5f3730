package train

import (
	"context"
	"testing"

	"parallax/collective"
	"parallax/internal/config"
	"parallax/kernels"
	_ "parallax/kernels/cpu"
	"parallax/shard"
)

// text is a source of short sequences that a small model can learn: each counts
// up from a random byte by a random stride.
type text struct{ seqLen, sequences int }

func (s text) SeqLen() int               { return s.seqLen }
func (s text) Vocabulary() int           { return 256 }
func (s text) Sequences(shard.Split) int { return s.sequences }

func (s text) Fill(split shard.Split, indices []int, tokens, targets, docStart []int32) int {
	shard.CheckFill(s, split, indices, tokens, targets, docStart)
	clear(docStart)
	scored := 0
	for row, index := range indices {
		lo, hi := row*s.seqLen, (row+1)*s.seqLen
		if index == shard.Padding {
			shard.FillPadding(tokens[lo:hi], targets[lo:hi], nil)
			continue
		}
		h := shard.Mix(uint64(split), uint64(index))
		start, stride := int32(h%64), int32(h>>8%5)+1
		for i := range s.seqLen {
			tokens[lo+i] = (start + stride*int32(i)) % 64
			targets[lo+i] = (start + stride*int32(i+1)) % 64
		}
		scored += s.seqLen
	}
	return scored
}

// steady is a source that does nothing again and again, and allocates nothing.
type steady struct{ text }

func (s *steady) Fill(_ shard.Split, _ []int, tokens, targets, docStart []int32) int {
	for i := range tokens {
		tokens[i], targets[i] = int32(i%64), int32((i+1)%64)
	}
	clear(docStart)
	return len(tokens)
}

// A rank alone allocates nothing in a step, once the first ones are over.
func TestStepAllocatesNothing(t *testing.T) {
	for _, set := range []string{"optimizer.name=muon", "optimizer.name=adamw", "train.reduction=sum-exact", "train.recompute=layer", "data.documents=true"} {
		spec := testSpec(t, set)
		be, err := kernels.Open("cpu", kernels.Options{Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		trainer, err := New(be, spec, &steady{text{seqLen: spec.Train.SeqLen, sequences: 40}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { trainer.Close(); be.Close() })
		enterAlone(t, trainer)
		step := func() {
			if _, err := trainer.Step(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		step()
		step()
		if got := testing.AllocsPerRun(3, step); got != 0 {
			t.Errorf("%s: %g allocations a step", set, got)
		}
	}
}

func testSpec(t testing.TB, set ...string) config.Spec {
	t.Helper()
	loaded, err := config.Load(config.Sources{Preset: "tiny", Set: append([]string{
		"model.layers=2", "model.width=32", "model.q_heads=2", "model.kv_heads=1", "model.head_dim=16", "model.ffn=48",
		"train.seq_len=24", "train.micro_batch=2", "train.slots=4", "train.steps=12", "schedule.warmup=2",
		"eval.batches=3"}, set...)})
	if err != nil {
		t.Fatal(err)
	}
	return loaded.Spec
}

func newTestTrainer(t testing.TB, spec config.Spec) *Trainer {
	t.Helper()
	be, err := kernels.Open("cpu", kernels.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	trainer, err := New(be, spec, text{seqLen: spec.Train.SeqLen, sequences: 40})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { trainer.Close(); be.Close() })
	return trainer
}

// enterAlone makes a trainer the only rank of its ring.
func enterAlone(t testing.TB, trainer *Trainer) {
	t.Helper()
	comm, err := collective.New(collective.Config{Generation: 1, Members: []collective.Member{{Name: "alone"}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { comm.Close() })
	slots := make([]int, trainer.spec.Train.Slots)
	for i := range slots {
		slots[i] = i
	}
	if err := trainer.Enter(View{Comm: comm, Slots: [][]int{slots}}); err != nil {
		t.Fatal(err)
	}
}

func TestLossFalls(t *testing.T) {
	for _, mixer := range []string{"parallax", "softmax"} {
		t.Run(mixer, func(t *testing.T) {
			trainer := newTestTrainer(t, testSpec(t, "model.mixer="+mixer))
			enterAlone(t, trainer)
			var first, last float64
			for i := range 12 {
				r, err := trainer.Step(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				if i == 0 {
					first = r.Loss
				}
				last = r.Loss
			}
			if last > first-0.5 {
				t.Errorf("the loss went from %.4f to %.4f in 12 steps", first, last)
			}
		})
	}
}

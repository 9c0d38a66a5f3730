package config

import (
	"errors"
	"math"
	"testing"
)

func defaults(t *testing.T) Spec {
	t.Helper()
	l, err := Load(Sources{})
	if err != nil {
		t.Fatal(err)
	}
	return l.Spec
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		key   string
		spoil func(*Spec)
		want  string
	}{
		{"model.mixer", func(s *Spec) { s.Model.Mixer = "softmx" }, `model.mixer = "softmx": choose one of parallax, softmax; did you mean softmax?`},
		{"model.mixer", func(s *Spec) { s.Model.Mixer = "lla" }, `model.mixer = "lla": this member of the family is not built yet; choose parallax or softmax`},
		{"schedule.name", func(s *Spec) { s.Schedule.Name = "" }, `schedule.name = "": choose one of cosine, wsd, constant`},
		{"model.q_heads", func(s *Spec) { s.Model.QHeads = 7 }, `model.q_heads = 7: it must be a multiple of model.kv_heads = 2`},
		{"model.kv_heads", func(s *Spec) { s.Model.KVHeads = 0 }, `model.kv_heads = 0: it must be from 1 to 1024`},
		{"model.head_dim", func(s *Spec) { s.Model.HeadDim = 63 }, `model.head_dim = 63: it must be even, because rotary embedding turns pairs`},
		{"model.head_dim", func(s *Spec) { s.Model.HeadDim = 258 }, `model.head_dim = 258: it must be from 2 to 256`},
		{"model.vocabulary", func(s *Spec) { s.Model.Vocabulary, s.Data.Tokenizer = 50000, "gpt2" }, `model.vocabulary = 50000: data.tokenizer "gpt2" has 50257 ids; set 0 for as many as it has`},
		{"model.window", func(s *Spec) { s.Model.Window = -1 }, `model.window = -1: it must be from 0 to 1048576`},
		{"model.norm_eps", func(s *Spec) { s.Model.NormEps = 0 }, `model.norm_eps = 0.0: it must be greater than 0`},
		{"optimizer.lr", func(s *Spec) { s.Optimizer.LR = math.NaN() }, `optimizer.lr = nan: it must be greater than 0`},
		{"optimizer.momentum", func(s *Spec) { s.Optimizer.Momentum = 1 }, `optimizer.momentum = 1.0: it must be at least 0 and less than 1`},
		{"optimizer.clip_norm", func(s *Spec) { s.Optimizer.ClipNorm = -1 }, `optimizer.clip_norm = -1.0: it must not be negative`},
		{"optimizer.adam_eps", func(s *Spec) { s.Optimizer.AdamEps = math.Inf(1) }, `optimizer.adam_eps = inf: it must be greater than 0`},
		{"schedule.decay", func(s *Spec) { s.Schedule.Decay = 1.5 }, `schedule.decay = 1.5: it must be from 0 to 1`},
		{"data.validation", func(s *Spec) { s.Data.Validation = 1 }, `data.validation = 1.0: it must be at least 0 and less than 1`},
		{"train.seq_len", func(s *Spec) { s.Train.SeqLen = 1 }, `train.seq_len = 1: it must be from 2 to 1048576`},
		{"train.slots", func(s *Spec) { s.Train.Slots, s.Train.MicroBatch, s.Train.SeqLen = 1<<16, 1<<16, 1<<20 }, `train.slots = 65536: with train.micro_batch = 65536 and train.seq_len = 1048576 a step has more than 2^31 tokens`},
		{"train.slots", func(s *Spec) { s.Train.Slots, s.Train.Reduction = 4097, "sum-exact" }, `train.slots = 4097: train.reduction sum-exact adds up to 4096 slots`},
		{"checkpoint.keep", func(s *Spec) { s.Checkpoint.Keep = 0 }, `checkpoint.keep = 0: it must be from 1 to 65536`},
		{"seed", func(s *Spec) { s.Seed = 1 << 63 }, `seed = 9223372036854775808: it must be at most 2^63-1, the largest integer of TOML`},
	} {
		s := defaults(t)
		c.spoil(&s)
		err := Validate(s)
		checkRefused(t, err, c.want)
		if e := new(Error); errors.As(err, &e) && e.Key != c.key {
			t.Errorf("key %q, want %q", e.Key, c.key)
		}
	}
}

func TestValidateAcceptsAFewStepsOfAnything(t *testing.T) {
	s := defaults(t)
	s.Train.Steps, s.Schedule.Warmup = 1, 1000
	if err := Validate(s); err != nil {
		t.Error(err)
	}
}

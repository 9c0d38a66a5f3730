package config

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Limits that keep every product of sizes far from overflow.
const (
	maxLayers     = 1 << 10
	maxWidth      = 1 << 16
	maxHeads      = 1 << 10
	maxHeadDim    = 256
	maxFFN        = 1 << 20
	maxVocabulary = 1 << 24
	maxSeqLen     = 1 << 20
	maxBatch      = 1 << 16
	maxStepTokens = 1 << 31
	maxSteps      = 1 << 40
	maxExactSlots = 1 << 12 // 19 bits are left for each
)

// vocabularies are the sizes of the tokenizers, the smallest that a model over
// their ids can have.
var vocabularies = map[string]int{"bytes": 256, "gpt2": 50257, "cl100k": 100277, "o200k": 200019}

// unbuilt are the members of the mixer family that no backend computes yet.
var unbuilt = []string{"lla", "average", "linear", "affine-linear", "mesanet", "affine-mesanet"}

// Validate says which value is out of range or does not fit another one, as an
// [*Error] that names the key, the value and what is allowed; nil if none is.
func Validate(s Spec) error {
	if err := validate(&s); err != nil {
		return err
	}
	return nil
}

func validate(s *Spec) *Error {
	for _, check := range []func(*Spec) *Error{
		checkChoices, checkSeed, checkModel, checkHeads, checkMuon, checkAdam, checkSchedule, checkData, checkTrain, checkCadence,
	} {
		if err := check(s); err != nil {
			return err
		}
	}
	return nil
}

func bad(key string, value any, format string, args ...any) *Error {
	return &Error{Key: key, Msg: fmt.Sprintf("%s = %s: %s", key, showTOML(value), fmt.Sprintf(format, args...))}
}

func first(errs ...*Error) *Error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// within wants lo <= v <= hi.
func within(key string, v, lo, hi int) *Error {
	if v < lo || v > hi {
		return bad(key, v, "it must be from %d to %d", lo, hi)
	}
	return nil
}

// share wants 0 <= v <= 1.
func share(key string, v float64) *Error {
	if !(v >= 0 && v <= 1) {
		return bad(key, v, "it must be from 0 to 1")
	}
	return nil
}

// decay wants 0 <= v < 1.
func decay(key string, v float64) *Error {
	if !(v >= 0 && v < 1) {
		return bad(key, v, "it must be at least 0 and less than 1")
	}
	return nil
}

func positive(key string, v float64) *Error {
	if !(v > 0 && v <= math.MaxFloat32) {
		return bad(key, v, "it must be greater than 0")
	}
	return nil
}

func notNegative(key string, v float64) *Error {
	if !(v >= 0 && v <= math.MaxFloat32) {
		return bad(key, v, "it must not be negative")
	}
	return nil
}

func checkChoices(s *Spec) *Error {
	if slices.Contains(unbuilt, s.Model.Mixer) {
		return bad("model.mixer", s.Model.Mixer, "this member of the family is not built yet; choose parallax or softmax")
	}
	for _, k := range keys {
		if v, ok := k.value(s).(string); ok && len(k.Choices) > 0 && !slices.Contains(k.Choices, v) {
			return bad(k.Name, v, "choose one of %s%s", strings.Join(k.Choices, ", "), didYouMean(v, k.Choices))
		}
	}
	return nil
}

func checkSeed(s *Spec) *Error {
	if s.Seed > math.MaxInt64 {
		return bad("seed", s.Seed, "it must be at most 2^63-1, the largest integer of TOML")
	}
	return nil
}

func checkModel(s *Spec) *Error {
	m := s.Model
	return first(
		within("model.layers", m.Layers, 1, maxLayers),
		within("model.width", m.Width, 1, maxWidth),
		within("model.ffn", m.FFN, 1, maxFFN),
		within("model.window", m.Window, 0, maxSeqLen),
		positive("model.rope_theta", m.RoPETheta),
		positive("model.norm_eps", m.NormEps),
		positive("model.init_std", m.InitStd),
		checkVocabulary(s))
}

func checkVocabulary(s *Spec) *Error {
	v, need := s.Model.Vocabulary, vocabularies[s.Data.Tokenizer]
	switch {
	case v == 0:
		return nil
	case s.Data.Task != "none":
		need = 1 // what a task needs, it says itself
	case v < need:
		return bad("model.vocabulary", v, "data.tokenizer %q has %d ids; set 0 for as many as it has", s.Data.Tokenizer, need)
	}
	return within("model.vocabulary", v, need, maxVocabulary)
}

func checkHeads(s *Spec) *Error {
	m := s.Model
	err := first(
		within("model.q_heads", m.QHeads, 1, maxHeads),
		within("model.kv_heads", m.KVHeads, 1, maxHeads),
		within("model.head_dim", m.HeadDim, 2, maxHeadDim))
	switch {
	case err != nil:
		return err
	case m.QHeads%m.KVHeads != 0:
		return bad("model.q_heads", m.QHeads, "it must be a multiple of model.kv_heads = %d", m.KVHeads)
	case m.HeadDim%2 != 0:
		return bad("model.head_dim", m.HeadDim, "it must be even, because rotary embedding turns pairs")
	}
	return nil
}

func checkMuon(s *Spec) *Error {
	o := s.Optimizer
	return first(
		positive("optimizer.lr", o.LR),
		decay("optimizer.momentum", o.Momentum),
		notNegative("optimizer.weight_decay", o.WeightDecay),
		notNegative("optimizer.clip_norm", o.ClipNorm))
}

func checkAdam(s *Spec) *Error {
	o := s.Optimizer
	return first(
		positive("optimizer.adam_lr", o.AdamLR),
		decay("optimizer.beta1", o.Beta1),
		decay("optimizer.beta2", o.Beta2),
		positive("optimizer.adam_eps", o.AdamEps),
		notNegative("optimizer.adam_weight_decay", o.AdamWeightDecay))
}

// checkSchedule allows a warm-up that is longer than the run, so that a few
// steps of any specification can be tried.
func checkSchedule(s *Spec) *Error {
	return first(
		within("schedule.warmup", s.Schedule.Warmup, 0, maxSteps),
		share("schedule.decay", s.Schedule.Decay),
		share("schedule.final_scale", s.Schedule.FinalScale))
}

func checkData(s *Spec) *Error {
	if strings.ContainsRune(s.Data.Path, 0) {
		return bad("data.path", s.Data.Path, "a path has no NUL characters")
	}
	if s.Data.Task != "none" && s.Data.Path != "" {
		return bad("data.task", s.Data.Task, "a task makes its own data, but data.path names some: give one of them")
	}
	return decay("data.validation", s.Data.Validation)
}

func checkTrain(s *Spec) *Error {
	t := s.Train
	err := first(
		within("train.steps", t.Steps, 1, maxSteps),
		within("train.seq_len", t.SeqLen, 2, maxSeqLen),
		within("train.micro_batch", t.MicroBatch, 1, maxBatch),
		within("train.slots", t.Slots, 1, maxBatch))
	if err == nil && t.SeqLen*t.MicroBatch*t.Slots > maxStepTokens {
		err = bad("train.slots", t.Slots, "with train.micro_batch = %d and train.seq_len = %d a step has more than 2^31 tokens", t.MicroBatch, t.SeqLen)
	}
	if err == nil && t.Reduction == "sum-exact" && t.Slots > maxExactSlots {
		err = bad("train.slots", t.Slots, "train.reduction sum-exact adds up to %d slots", maxExactSlots)
	}
	return err
}

func checkCadence(s *Spec) *Error {
	return first(
		within("eval.every", s.Eval.Every, 0, maxSteps),
		within("eval.batches", s.Eval.Batches, 1, maxBatch),
		within("checkpoint.every", s.Checkpoint.Every, 0, maxSteps),
		within("checkpoint.keep", s.Checkpoint.Keep, 1, maxBatch),
		within("diagnostics.every", s.Diagnostics.Every, 0, maxSteps))
}

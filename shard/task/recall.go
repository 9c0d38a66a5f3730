package task

import (
	"fmt"
	"math/rand/v2"
)

// AssociativeRecall is multi-query associative recall (Arora et al. 2023,
// "Zoology", arXiv 2312.04927): Pairs different keys, each followed by a value,
// then queries, each a key followed by its value, to the end.
//
//	k1 v1 k2 v2 k3 v3 | k2 v2 k3 v3 k2 v2 ...
//
// Scored is the value at every query's key. Keys are the tokens [0, Keys),
// values [Keys, Keys+Values).
type AssociativeRecall struct {
	Keys, Values int
	Pairs        int
}

// Name implements [Generator].
func (AssociativeRecall) Name() string { return "associative-recall" }

// Vocabulary implements [Generator].
func (g AssociativeRecall) Vocabulary() int { return g.Keys + g.Values }

// Check implements [Generator].
func (g AssociativeRecall) Check(seqLen int) error {
	switch {
	case g.Pairs < 1 || g.Values < 1 || g.Pairs > g.Keys:
		return fmt.Errorf("%d pairs of %d keys and %d values: it needs at least one pair and as many keys as pairs", g.Pairs, g.Keys, g.Values)
	case seqLen <= 2*g.Pairs:
		return fmt.Errorf("%d pairs and a query need sequences of at least %d, not %d", g.Pairs, 2*g.Pairs+1, seqLen)
	}
	return nil
}

// Generate implements [Generator].
func (g AssociativeRecall) Generate(r *rand.Rand, tokens, targets []int32) {
	keys := distinct(r, g.Pairs, g.Keys)
	values := make([]int32, g.Pairs)
	for p := range values {
		values[p] = int32(g.Keys + r.IntN(g.Values))
		tokens[2*p], tokens[2*p+1] = int32(keys[p]), values[p]
	}
	for i := 2 * g.Pairs; i < len(tokens); i += 2 {
		p := r.IntN(g.Pairs)
		tokens[i], targets[i] = int32(keys[p]), values[p]
		if i+1 < len(tokens) {
			tokens[i+1] = values[p]
		}
	}
}

// NoisyRecall is in-context recall with noise (Poli et al. 2024, "MAD", arXiv
// 2403.17844): a mapping from keys to values is drawn for the sequence and shown
// as pairs of keys drawn at random, between which tokens of noise stand.
//
//	k1 v1 n k4 v4 k1 v1 n n k2 v2 k4 v4 ...
//
// Scored is the value at every key that has been shown before. Keys are the
// tokens [0, Keys), values and noise follow.
type NoisyRecall struct {
	Keys, Values, Noise int
	Share               float64 // of noise among the draws of noise or a pair
}

// Name implements [Generator].
func (NoisyRecall) Name() string { return "noisy-recall" }

// Vocabulary implements [Generator].
func (g NoisyRecall) Vocabulary() int { return g.Keys + g.Values + g.Noise }

// Check implements [Generator].
func (g NoisyRecall) Check(seqLen int) error {
	switch {
	case g.Keys < 1 || g.Values < 1 || g.Noise < 1:
		return fmt.Errorf("%d keys, %d values and %d tokens of noise: it needs at least one of each", g.Keys, g.Values, g.Noise)
	case !(g.Share >= 0 && g.Share < 1):
		return fmt.Errorf("a share of noise of %v is not in [0, 1)", g.Share)
	case seqLen < 2*g.Keys+3:
		return fmt.Errorf("%d keys, each of which may come before one comes again, need sequences of at least %d, not %d", g.Keys, 2*g.Keys+3, seqLen)
	}
	return nil
}

// Generate implements [Generator].
func (g NoisyRecall) Generate(r *rand.Rand, tokens, targets []int32) {
	values := make([]int32, g.Keys)
	for key := range values {
		values[key] = int32(g.Keys + r.IntN(g.Values))
	}
	shown := make([]bool, g.Keys)
	for i := 0; i < len(tokens); i++ {
		if r.Float64() < g.Share || i+1 == len(tokens) {
			tokens[i] = int32(g.Keys + g.Values + r.IntN(g.Noise))
			continue
		}
		key := r.IntN(g.Keys)
		tokens[i], tokens[i+1] = int32(key), values[key]
		if shown[key] {
			targets[i] = values[key]
		}
		shown[key] = true
		i++
	}
}

package task

import (
	"fmt"
	"math/rand/v2"
)

// Permutations is state tracking: the word problem of the symmetric group
// (Merrill, Petty and Sabharwal 2024, "The Illusion of State in State-Space
// Models", arXiv 2404.08819). Tokens are permutations of Degree things, drawn at
// random; the target at each position is the product of all so far, the newest
// applied last. Every position is scored. For Degree 5 the group is not
// solvable, and the problem is complete for NC1.
//
// A permutation's token is its rank in lexicographic order; 0 is the identity.
type Permutations struct {
	Degree int
}

// Name implements [Generator].
func (Permutations) Name() string { return "permutation-state" }

// Vocabulary implements [Generator].
func (g Permutations) Vocabulary() int {
	order := 1
	for n := 2; n <= g.Degree; n++ {
		order *= n
	}
	return order
}

// Check implements [Generator].
func (g Permutations) Check(seqLen int) error {
	switch {
	case g.Degree < 2 || g.Degree > 7:
		return fmt.Errorf("permutations of %d things: it must be 2..7", g.Degree)
	case seqLen < 1:
		return fmt.Errorf("sequences of %d", seqLen)
	}
	return nil
}

// Generate implements [Generator].
func (g Permutations) Generate(r *rand.Rand, tokens, targets []int32) {
	state := g.unrank(0)
	for i := range tokens {
		tokens[i] = int32(r.IntN(g.Vocabulary()))
		step := g.unrank(int(tokens[i]))
		for n := range state {
			state[n] = step[state[n]]
		}
		targets[i] = int32(g.rank(state))
	}
}

// unrank returns the permutation at a place in lexicographic order.
func (g Permutations) unrank(rank int) []int {
	left := make([]int, g.Degree)
	for i := range left {
		left[i] = i
	}
	p := make([]int, g.Degree)
	block := g.Vocabulary()
	for i := range p {
		block /= g.Degree - i
		pick := rank / block
		rank %= block
		p[i] = left[pick]
		left = append(left[:pick], left[pick+1:]...)
	}
	return p
}

// rank is the inverse of unrank.
func (g Permutations) rank(p []int) int {
	rank, block := 0, g.Vocabulary()
	for i := range p {
		block /= g.Degree - i
		for _, later := range p[i+1:] {
			if later < p[i] {
				rank += block
			}
		}
	}
	return rank
}

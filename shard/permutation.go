package shard

import (
	"fmt"
	"math/bits"
)

// feistelRounds is even, so that forward and inverse are the same loop over
// swapped halves; four suffice for pseudo-randomness (Luby and Rackoff 1988),
// two more make up for the narrow halves of small n.
const feistelRounds = 6

// Permutation is a seeded bijection on [0, n) in constant memory: a balanced
// Feistel network over the next even number of bits, walked along its cycle
// until it lands below n (Black and Rogaway 2002, "Ciphers with arbitrary finite
// domains"). Fewer than 4n values are permuted, so a walk takes fewer than four
// rounds of the network on average.
type Permutation struct {
	n    uint64
	half int    // bits in one half
	mask uint64 // of one half
	keys [feistelRounds]uint64
}

// NewPermutation returns the permutation of [0, n) that seed names. n is at
// least 1.
func NewPermutation(n int, seed uint64) Permutation {
	if n < 1 {
		panic(fmt.Sprintf("shard: a permutation of %d elements", n))
	}
	p := Permutation{n: uint64(n), half: max(1, (bits.Len64(uint64(n-1))+1)/2)}
	p.mask = 1<<p.half - 1
	for round := range p.keys {
		p.keys[round] = Mix(seed, uint64(round))
	}
	return p
}

// At returns what position i, in [0, n), is mapped to.
func (p Permutation) At(i int) int {
	x := p.check(i)
	for {
		if x = p.forward(x); x < p.n {
			return int(x)
		}
	}
}

// Inverse returns the position that is mapped to v, in [0, n).
func (p Permutation) Inverse(v int) int {
	x := p.check(v)
	for {
		if x = p.backward(x); x < p.n {
			return int(x)
		}
	}
}

func (p Permutation) check(i int) uint64 {
	if i < 0 || uint64(i) >= p.n {
		panic(fmt.Sprintf("shard: position %d of a permutation of %d elements", i, p.n))
	}
	return uint64(i)
}

func (p Permutation) forward(x uint64) uint64 {
	left, right := x>>p.half, x&p.mask
	for _, key := range p.keys {
		left, right = right, left^finalise(right^key)&p.mask
	}
	return left<<p.half | right
}

func (p Permutation) backward(x uint64) uint64 {
	left, right := x>>p.half, x&p.mask
	for round := feistelRounds - 1; round >= 0; round-- {
		left, right = right^finalise(left^p.keys[round])&p.mask, left
	}
	return left<<p.half | right
}

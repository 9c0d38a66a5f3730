package task

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"parallax/shard"
)

// Generator draws problems of one kind.
type Generator interface {
	// Name is what New knows it by.
	Name() string
	// Vocabulary is one more than the largest token or target.
	Vocabulary() int
	// Check says whether problems fit into sequences of seqLen positions.
	Check(seqLen int) error
	// Generate draws one problem that fills tokens, and writes its targets;
	// targets has the same length and is shard.Ignore everywhere beforehand.
	Generate(r *rand.Rand, tokens, targets []int32)
}

// generators are the tasks in the sizes that New gives them.
var generators = []Generator{
	AssociativeRecall{Keys: 64, Values: 64, Pairs: 8},
	NoisyRecall{Keys: 16, Values: 16, Noise: 32, Share: 0.2},
	SelectiveCopy{Symbols: 16, Count: 16},
	Regression{Dim: 2, MaxWeight: 3, MaxInput: 3},
	Permutations{Degree: 5},
}

// Names are the tasks that New knows.
func Names() []string {
	names := make([]string, len(generators))
	for i, g := range generators {
		names[i] = g.Name()
	}
	return names
}

// New returns the generator of that name in a size that trains in minutes.
func New(name string) (Generator, error) {
	for _, g := range generators {
		if g.Name() == name {
			return g, nil
		}
	}
	return nil, fmt.Errorf("unknown task %q: use one of %s", name, strings.Join(Names(), ", "))
}

// Options are the shape of a dataset of problems.
type Options struct {
	SeqLen            int
	Seed              uint64
	Train, Validation int // sequences
}

// Dataset is a finite collection of problems. It implements shard.Source.
type Dataset struct {
	generator Generator
	options   Options
}

var _ shard.Source = (*Dataset)(nil)

// NewDataset returns a collection of g's problems.
func NewDataset(g Generator, o Options) (*Dataset, error) {
	if o.Train < 1 || o.Validation < 0 {
		return nil, fmt.Errorf("task %s: %d training and %d validation sequences: it needs at least one to train on", g.Name(), o.Train, o.Validation)
	}
	if err := g.Check(o.SeqLen); err != nil {
		return nil, fmt.Errorf("task %s: %w", g.Name(), err)
	}
	return &Dataset{generator: g, options: o}, nil
}

// SeqLen implements shard.Source.
func (d *Dataset) SeqLen() int { return d.options.SeqLen }

// Vocabulary implements shard.Source.
func (d *Dataset) Vocabulary() int { return d.generator.Vocabulary() }

// Sequences implements shard.Source.
func (d *Dataset) Sequences(split shard.Split) int {
	if split == shard.Validation {
		return d.options.Validation
	}
	return d.options.Train
}

// Fill implements shard.Source; a sequence is one document.
func (d *Dataset) Fill(split shard.Split, indices []int, tokens, targets, docStart []int32) int {
	shard.CheckFill(d, split, indices, tokens, targets, docStart)
	clear(docStart)
	scored := 0
	for row, index := range indices {
		lo, hi := row*d.options.SeqLen, (row+1)*d.options.SeqLen
		shard.FillPadding(tokens[lo:hi], targets[lo:hi], nil)
		if index == shard.Padding {
			continue
		}
		seed := shard.Mix(d.options.Seed, uint64(split), uint64(index))
		d.generator.Generate(rand.New(rand.NewPCG(seed, 0)), tokens[lo:hi], targets[lo:hi])
		for _, target := range targets[lo:hi] {
			if target != shard.Ignore {
				scored++
			}
		}
	}
	return scored
}

// distinct draws n different numbers below limit, in random order.
func distinct(r *rand.Rand, n, limit int) []int { return r.Perm(limit)[:n] }

package task

import (
	"slices"
	"strings"
	"testing"

	"parallax/shard"
)

// problem is one generated row.
type problem struct{ tokens, targets []int32 }

// problems draws n of a generator's, of a length.
func problems(t *testing.T, g Generator, seqLen, n int) []problem {
	t.Helper()
	d, err := NewDataset(g, Options{SeqLen: seqLen, Seed: 5, Train: n, Validation: 1})
	if err != nil {
		t.Fatal(err)
	}
	all := make([]problem, n)
	for i := range all {
		all[i] = problem{make([]int32, seqLen), make([]int32, seqLen)}
		if scored := d.Fill(shard.Train, []int{i}, all[i].tokens, all[i].targets, nil); scored == 0 {
			t.Fatalf("%s: problem %d scores nothing", g.Name(), i)
		}
	}
	return all
}

// check compares an oracle's answer at every position with the target: shard.Ignore
// where it cannot know, so that what is scored and what can be known are the same.
func check(t *testing.T, g Generator, p problem, answers []int32) {
	t.Helper()
	if !slices.Equal(answers, p.targets) {
		t.Fatalf("%s:\n tokens %v\ntargets %v\n oracle %v", g.Name(), p.tokens, p.targets, answers)
	}
}

func unknown(n int) []int32 { return slices.Repeat([]int32{shard.Ignore}, n) }

func TestEveryTask(t *testing.T) {
	const seqLen = 128
	for _, name := range Names() {
		g, err := New(name)
		if err != nil || g.Name() != name {
			t.Fatalf("New(%q) = %v, %v", name, g, err)
		}
		for _, p := range problems(t, g, seqLen, 50) {
			for i := range p.tokens {
				token, target := int(p.tokens[i]), int(p.targets[i])
				if token < 0 || token >= g.Vocabulary() || target < shard.Ignore || target >= g.Vocabulary() {
					t.Fatalf("%s: token %d and target %d in a vocabulary of %d", name, token, target, g.Vocabulary())
				}
			}
		}
	}
	const want = `unknown task "chess": use one of associative-recall, noisy-recall, selective-copying, in-context-regression, permutation-state`
	if _, err := New("chess"); err == nil || err.Error() != want {
		t.Errorf("New(chess): %v, want %q", err, want)
	}
}

func TestProblemsDependOnSeedSplitAndIndexAlone(t *testing.T) {
	const seqLen = 64
	fill := func(seed uint64, split shard.Split, indices ...int) []int32 {
		d, err := NewDataset(SelectiveCopy{Symbols: 16, Count: 16}, Options{SeqLen: seqLen, Seed: seed, Train: 100, Validation: 100})
		if err != nil {
			t.Fatal(err)
		}
		tokens, targets := make([]int32, len(indices)*seqLen), make([]int32, len(indices)*seqLen)
		d.Fill(split, indices, tokens, targets, nil)
		return tokens
	}
	seven := fill(1, shard.Train, 7)
	if batch := fill(1, shard.Train, 3, 7); !slices.Equal(batch[seqLen:], seven) {
		t.Error("sequence 7 depends on its company")
	}
	for name, other := range map[string][]int32{
		"index": fill(1, shard.Train, 8), "split": fill(1, shard.Validation, 7), "seed": fill(2, shard.Train, 7),
	} {
		if slices.Equal(other, seven) {
			t.Errorf("another %s gives the same sequence", name)
		}
	}
}

func TestFillKeepsTheContract(t *testing.T) {
	d, err := NewDataset(Permutations{Degree: 3}, Options{SeqLen: 4, Train: 2, Validation: 3})
	if err != nil {
		t.Fatal(err)
	}
	if d.Sequences(shard.Train) != 2 || d.Sequences(shard.Validation) != 3 || d.SeqLen() != 4 || d.Vocabulary() != 6 {
		t.Errorf("%d and %d sequences of %d, vocabulary %d", d.Sequences(shard.Train), d.Sequences(shard.Validation), d.SeqLen(), d.Vocabulary())
	}
	tokens, targets, starts := slices.Repeat([]int32{9}, 8), slices.Repeat([]int32{9}, 8), slices.Repeat([]int32{9}, 8)
	if scored := d.Fill(shard.Validation, []int{2, shard.Padding}, tokens, targets, starts); scored != 4 {
		t.Errorf("%d targets scored, want 4", scored)
	}
	if !slices.Equal(tokens[4:], make([]int32, 4)) || !slices.Equal(targets[4:], unknown(4)) || !slices.Equal(starts, make([]int32, 8)) {
		t.Errorf("tokens %v, targets %v, starts %v", tokens, targets, starts)
	}
	defer func() {
		if recover() == nil {
			t.Error("an index that is none is accepted")
		}
	}()
	d.Fill(shard.Train, []int{2}, tokens[:4], targets[:4], nil)
}

func TestSizesThatDoNotFit(t *testing.T) {
	for _, c := range []struct {
		g       Generator
		seqLen  int
		message string
	}{
		{AssociativeRecall{Keys: 4, Values: 4, Pairs: 5}, 100, "as many keys as pairs"},
		{AssociativeRecall{Keys: 4, Values: 4, Pairs: 4}, 8, "sequences of at least 9, not 8"},
		{NoisyRecall{Keys: 4, Values: 4}, 100, "at least one of each"},
		{NoisyRecall{Keys: 4, Values: 4, Noise: 1, Share: 1}, 100, "not in [0, 1)"},
		{NoisyRecall{Keys: 4, Values: 4, Noise: 1}, 10, "at least 11, not 10"},
		{SelectiveCopy{Symbols: 4}, 10, "at least one"},
		{SelectiveCopy{Symbols: 4, Count: 6}, 11, "at least 12, not 11"},
		{Regression{Dim: 17, MaxWeight: 1, MaxInput: 1}, 1000, "1..16"},
		{Regression{Dim: 2, MaxWeight: 1, MaxInput: 1}, 7, "at least 8, not 7"},
		{Permutations{Degree: 8}, 10, "2..7"},
		{Permutations{Degree: 5}, 0, "sequences of 0"},
	} {
		_, err := NewDataset(c.g, Options{SeqLen: c.seqLen, Train: 1, Validation: 1})
		if err == nil || !strings.HasPrefix(err.Error(), "task "+c.g.Name()+": ") || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%+v in %d: %v, want ... %s", c.g, c.seqLen, err, c.message)
		}
	}
	if _, err := NewDataset(Permutations{Degree: 5}, Options{SeqLen: 4, Validation: 1}); err == nil {
		t.Error("a dataset without training sequences is accepted")
	}
}

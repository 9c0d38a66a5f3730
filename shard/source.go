package shard

import "fmt"

// Split names one of the two parts of a [Source].
type Split int

const (
	Train      Split = iota // sequences trained on
	Validation              // sequences held out
)

func (s Split) String() string {
	if s == Validation {
		return "validation"
	}
	return "train"
}

// Padding is the index of no sequence. A row filled for it has token 0 and no
// scored target, so a micro-batch can keep its shape when sequences run out.
const Padding = -1

// Ignore is the target of a position that is not scored; kernels.HeadLoss gives
// it no loss and no gradient.
const Ignore = -1

// Source is a finite, indexed collection of training and validation sequences
// of one length. It is safe for use by several goroutines.
type Source interface {
	// SeqLen is the number of positions in a sequence.
	SeqLen() int
	// Vocabulary is one more than the largest token or target that Fill writes.
	Vocabulary() int
	// Sequences is the number of sequences in a split.
	Sequences(Split) int
	// Fill writes the sequences at indices, row by row, and returns how many
	// targets are scored. tokens, targets and docStart each have
	// len(indices)*SeqLen elements. docStart, which may be nil, receives for each
	// position the position in its row at which its document starts (see
	// kernels.AttentionShape). Targets that are not scored are Ignore. An index
	// that is neither Padding nor in [0, Sequences(split)), or a buffer of another
	// length, is a bug of the caller and panics.
	Fill(split Split, indices []int, tokens, targets, docStart []int32) (scored int)
}

// CheckFill panics unless the arguments of s.Fill keep its contract; it is for
// implementations.
func CheckFill(s Source, split Split, indices []int, tokens, targets, docStart []int32) {
	want := len(indices) * s.SeqLen()
	if len(tokens) != want || len(targets) != want || docStart != nil && len(docStart) != want {
		panic(fmt.Sprintf("shard: %d sequences of %d need buffers of %d, not of %d, %d and %d",
			len(indices), s.SeqLen(), want, len(tokens), len(targets), len(docStart)))
	}
	n := s.Sequences(split)
	for _, index := range indices {
		if index != Padding && (index < 0 || index >= n) {
			panic(fmt.Sprintf("shard: sequence %d of the %d in the %s split", index, n, split))
		}
	}
}

// FillPadding writes a row for [Padding]; starts may be nil.
func FillPadding(tokens, targets, starts []int32) {
	clear(tokens)
	clear(starts)
	for i := range targets {
		targets[i] = Ignore
	}
}

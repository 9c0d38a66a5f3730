package corpus

import (
	"fmt"
	"math"

	"parallax/shard"
)

// Options say how a token file is cut into sequences.
type Options struct {
	SeqLen          int     // positions in a sequence
	ValidationShare float64 // of the sequences, in [0, 1); above 0 at least one is held out
	Vocabulary      int     // the model's: every token must be below it
	Documents       bool    // mark document boundaries, see [Dataset.Fill]
	EndOfText       int32   // the token that ends a document, used with Documents
}

// Dataset is a token file as sequences of T = SeqLen positions. Sequence i holds
// the tokens [i*T, i*T+T) and, as targets, [i*T+1, i*T+T+1): its last target is
// the next sequence's first token, and every token but the very first is a target
// once. Fewer than T tokens at the end are left out. The validation split is the
// last sequences. It implements shard.Source.
type Dataset struct {
	file        *TokenFile
	options     Options
	train, held int // sequences
}

var _ shard.Source = (*Dataset)(nil)

// NewDataset cuts file into sequences. It reads the whole file once, to make sure
// that no token lies outside the vocabulary.
func NewDataset(file *TokenFile, o Options) (*Dataset, error) {
	switch {
	case o.SeqLen < 1:
		return nil, fmt.Errorf("sequences of %d tokens: the sequence length must be at least 1", o.SeqLen)
	case math.IsNaN(o.ValidationShare) || o.ValidationShare < 0 || o.ValidationShare >= 1:
		return nil, fmt.Errorf("validation share %v: it must be at least 0 and less than 1", o.ValidationShare)
	}
	sequences := max(file.Len()-1, 0) / o.SeqLen
	if least, parts := o.least(); sequences < least {
		return nil, fmt.Errorf("token file %s holds %d tokens, but %s of %d need %d: use more data or shorter sequences",
			file.Path(), file.Len(), parts, o.SeqLen, least*o.SeqLen+1)
	}
	if largest := file.MaxToken(); int64(largest) >= int64(o.Vocabulary) {
		return nil, fmt.Errorf("token file %s holds token %d, but the vocabulary is %d: choose the tokenizer that made the file, or a larger vocabulary",
			file.Path(), largest, o.Vocabulary)
	}
	held := o.held(sequences)
	return &Dataset{file: file, options: o, train: sequences - held, held: held}, nil
}

// least is the number of sequences that a dataset has at the least, in words too.
func (o Options) least() (n int, parts string) {
	if o.ValidationShare == 0 {
		return 1, "one sequence"
	}
	return 2, "one training and one validation sequence"
}

// held is how many of the sequences are held out.
func (o Options) held(sequences int) int {
	if o.ValidationShare == 0 {
		return 0
	}
	held := int(math.Round(o.ValidationShare * float64(sequences)))
	return min(max(held, 1), sequences-1)
}

// SeqLen implements shard.Source.
func (d *Dataset) SeqLen() int { return d.options.SeqLen }

// Vocabulary implements shard.Source.
func (d *Dataset) Vocabulary() int { return d.options.Vocabulary }

// Sequences implements shard.Source.
func (d *Dataset) Sequences(split shard.Split) int {
	if split == shard.Validation {
		return d.held
	}
	return d.train
}

// Fill implements shard.Source. With Documents, a document ends with its
// end-of-text token: the position after it starts the next one, in docStart, and
// the target of the end-of-text token itself, which belongs to the next document,
// is not scored. Without, a sequence counts as one document.
func (d *Dataset) Fill(split shard.Split, indices []int, tokens, targets, docStart []int32) int {
	shard.CheckFill(d, split, indices, tokens, targets, docStart)
	scored := 0
	for row, index := range indices {
		lo, hi := row*d.options.SeqLen, (row+1)*d.options.SeqLen
		var starts []int32
		if docStart != nil {
			starts = docStart[lo:hi]
		}
		if index == shard.Padding {
			shard.FillPadding(tokens[lo:hi], targets[lo:hi], starts)
			continue
		}
		if split == shard.Validation {
			index += d.train
		}
		scored += d.fillRow(index, tokens[lo:hi], targets[lo:hi], starts)
	}
	return scored
}

// fillRow writes one sequence; starts may be nil.
func (d *Dataset) fillRow(index int, tokens, targets, starts []int32) (scored int) {
	off := index * d.options.SeqLen
	d.file.Read(tokens, off)
	d.file.Read(targets, off+1)
	clear(starts)
	if !d.options.Documents {
		return len(targets)
	}
	start := int32(0)
	for i, token := range tokens {
		if starts != nil {
			starts[i] = start
		}
		if token == d.options.EndOfText {
			targets[i] = shard.Ignore
			start = int32(i + 1)
			continue
		}
		scored++
	}
	return scored
}

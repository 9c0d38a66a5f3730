package inference

import (
	"context"

	"parallax/kernels"
	"parallax/shard"
)

// Loss is the mean loss of a model on a source.
type Loss struct {
	NatsPerToken float64
	Tokens       int64 // scored
}

// Loss measures the mean loss over all of the source's training sequences, each
// once. progress, which may be nil, is told the sequences done.
func (t *Trained) Loss(ctx context.Context, source shard.Source, progress func(done, total int)) (Loss, error) {
	batch := t.model.BatchSize()
	n := batch * source.SeqLen()
	tokens, targets, docStart := make([]int32, n), make([]int32, n), make([]int32, n)
	total := source.Sequences(shard.Train)
	sum, scored := 0.0, 0
	for first := 0; first < total; first += batch {
		if err := ctx.Err(); err != nil {
			return Loss{}, err
		}
		scored += source.Fill(shard.Train, sequences(first, batch, total), tokens, targets, docStart)
		if err := t.upload(tokens, targets, docStart); err != nil {
			return Loss{}, err
		}
		t.model.Evaluate(t.batch)
		losses, err := kernels.ReadFloats(t.be, t.model.Losses())
		if err != nil {
			return Loss{}, err
		}
		for _, l := range losses {
			sum += l
		}
		if progress != nil {
			progress(min(first+batch, total), total)
		}
	}
	return Loss{NatsPerToken: sum / float64(max(scored, 1)), Tokens: int64(scored)}, nil
}

// sequences are first, first+1, ... and padding beyond total.
func sequences(first, n, total int) []int {
	indices := make([]int, n)
	for i := range indices {
		indices[i] = first + i
		if indices[i] >= total {
			indices[i] = shard.Padding
		}
	}
	return indices
}

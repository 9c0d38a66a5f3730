package train

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"

	"parallax/internal/config"
	"parallax/model"
	"parallax/shard"
	"parallax/shard/corpus"
	"parallax/shard/task"
	"parallax/shard/tokenizer"
)

// Data is what a run trains on: text, or a synthetic task.
type Data struct {
	shard.Source
	Summary string // in a line
	Digest  string // SHA-256 of the tokens, or of what a task is drawn from: alike on all nodes

	file *corpus.TokenFile // nil: a task
}

// noTask is the spec's task where it trains on text.
const noTask = "none"

// OpenData opens a spec's data, which is tokenised first if the cache, "" for the
// user's, does not hold it. progress may be nil. The error says what is wrong with the
// data, or what the spec asks too much of it.
func OpenData(ctx context.Context, s config.Spec, cacheDir string, progress func(corpus.Progress)) (*Data, error) {
	if s.Data.Task != noTask {
		return openTask(s)
	}
	p, err := corpus.Prepare(ctx, corpus.Request{Path: s.Data.Path, Tokenizer: s.Data.Tokenizer, CacheDir: cacheDir, Progress: progress})
	if err != nil {
		return nil, err
	}
	source, err := Dataset(s, p.File)
	if err != nil {
		p.File.Close()
		return nil, err
	}
	return &Data{Source: source, Summary: p.Summary(), Digest: p.Manifest.SHA256, file: p.File}, nil
}

// Close gives the token file back.
func (d *Data) Close() {
	if d.file != nil {
		d.file.Close()
	}
}

// Dataset cuts a token file into sequences as the spec says. The error says what
// the file lacks for that, or has too much.
func Dataset(s config.Spec, file *corpus.TokenFile) (*corpus.Dataset, error) {
	tok, err := tokenizer.New(s.Data.Tokenizer)
	if err != nil {
		return nil, err
	}
	vocabulary := s.Model.Vocabulary
	if vocabulary == 0 {
		vocabulary = tok.Vocabulary()
	}
	return corpus.NewDataset(file, corpus.Options{
		SeqLen: s.Train.SeqLen, ValidationShare: s.Data.Validation, Vocabulary: vocabulary,
		Documents: s.Data.Documents, EndOfText: tok.EndOfText(),
	})
}

// taskSequences is how many problems a task has, held-out ones included: more than a
// run sees, unless it is long. Nothing is stored of them.
const taskSequences = 1 << 20

// openTask draws a task's problems from the run's seed.
func openTask(s config.Spec) (*Data, error) {
	g, err := task.New(s.Data.Task)
	if err != nil {
		return nil, err
	}
	held := int(math.Round(s.Data.Validation * taskSequences))
	source, err := task.NewDataset(g, task.Options{SeqLen: s.Train.SeqLen, Seed: s.Seed, Train: taskSequences - held, Validation: held})
	if err != nil {
		return nil, err
	}
	summary := fmt.Sprintf("task %s, %d problems of %d tokens, %d ids", g.Name(), taskSequences, s.Train.SeqLen, g.Vocabulary())
	digest := sha256.Sum256(fmt.Appendf(nil, "%#v, %d held out, seed %d, length %d", g, held, s.Seed, s.Train.SeqLen))
	return &Data{Source: source, Summary: summary, Digest: hex.EncodeToString(digest[:])}, nil
}

// Vocabulary is how many ids the spec's data has: its tokenizer's, or its task's.
func Vocabulary(s config.Spec) (int, error) {
	if s.Data.Task != noTask {
		g, err := task.New(s.Data.Task)
		if err != nil {
			return 0, err
		}
		return g.Vocabulary(), nil
	}
	tok, err := tokenizer.New(s.Data.Tokenizer)
	if err != nil {
		return 0, fmt.Errorf("data.tokenizer: %w", err)
	}
	return tok.Vocabulary(), nil
}

// ModelOf is the spec's model, with as many ids as its data has where the spec says
// nothing else.
func ModelOf(s config.Spec) (model.Config, error) {
	vocabulary, err := Vocabulary(s)
	if err != nil {
		return model.Config{}, err
	}
	return ModelConfig(s, vocabulary)
}

package train

import (
	"parallax/internal/config"
	"parallax/shard/corpus"
	"parallax/shard/tokenizer"
)

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

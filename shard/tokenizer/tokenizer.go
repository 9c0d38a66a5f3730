package tokenizer

import (
	"fmt"
	"strings"
)

// Tokenizer maps UTF-8 text to ids in [0, Vocabulary()) and back. It is safe for
// use by several goroutines.
type Tokenizer interface {
	// Name is what New was called with.
	Name() string
	// Vocabulary is one more than the largest id, special tokens included. It is
	// not padded.
	Vocabulary() int
	// EndOfText is the id that separates documents.
	EndOfText() int32
	// Encode appends the ids of text to dst.
	Encode(dst []int32, text string) ([]int32, error)
	// Decode returns the text of ids; those of a piece of a longer text may begin
	// or end within a character. EndOfText decodes to nothing.
	Decode(ids []int32) (string, error)
}

// Names are the tokenizers that New knows.
func Names() []string { return []string{"bytes", "gpt2", "cl100k", "o200k"} }

// New returns the tokenizer of that name. A byte-pair encoding builds its tables
// when it first encodes or decodes, not here.
func New(name string) (Tokenizer, error) {
	if name == bytesName {
		return Bytes{}, nil
	}
	for _, e := range encodings {
		if e.name == name {
			return newBPE(e), nil
		}
	}
	return nil, fmt.Errorf("unknown tokenizer %q: use one of %s", name, strings.Join(Names(), ", "))
}

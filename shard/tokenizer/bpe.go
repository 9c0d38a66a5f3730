package tokenizer

import (
	"fmt"
	"strings"
	"sync"

	tiktoken "github.com/tiktoken-go/tokenizer"
)

// encoding is a byte-pair encoding as its publisher numbers it: ids below ranks
// are text, and some at and above it are special.
type encoding struct {
	name       string
	table      tiktoken.Encoding
	ranks      int32 // ids of text are in [0, ranks)
	endOfText  int32
	vocabulary int // one more than the largest special id
}

// The ids are those of OpenAI's tiktoken (openai_public.py). cl100k and o200k
// leave gaps between their special tokens, which no text is encoded to.
var encodings = []encoding{
	{name: "gpt2", table: tiktoken.R50kBase, ranks: 50256, endOfText: 50256, vocabulary: 50257},
	{name: "cl100k", table: tiktoken.Cl100kBase, ranks: 100256, endOfText: 100257, vocabulary: 100277},
	{name: "o200k", table: tiktoken.O200kBase, ranks: 199998, endOfText: 199999, vocabulary: 200019},
}

// del is the id of U+007F in all of them. No other token contains it, so that
// nothing is ever merged with it.
const del = 221

type bpe struct {
	encoding
	codec func() (tiktoken.Codec, error) // builds the tables at its first call
}

func newBPE(e encoding) *bpe {
	return &bpe{encoding: e, codec: sync.OnceValues(func() (tiktoken.Codec, error) { return tiktoken.Get(e.table) })}
}

func (t *bpe) Name() string     { return t.name }
func (t *bpe) Vocabulary() int  { return t.vocabulary }
func (t *bpe) EndOfText() int32 { return t.endOfText }

// Encode encodes the stretches between DEL characters one by one: the codec's
// splitting of text into words loses that character.
func (t *bpe) Encode(dst []int32, text string) ([]int32, error) {
	codec, err := t.codec()
	if err != nil {
		return dst, fmt.Errorf("tokenizer %s: %w", t.name, err)
	}
	for i, stretch := range strings.Split(text, "\x7f") {
		if i > 0 {
			dst = append(dst, del)
		}
		ids, _, err := codec.Encode(stretch)
		if err != nil {
			return dst, fmt.Errorf("tokenizer %s: %w", t.name, err)
		}
		for _, id := range ids {
			dst = append(dst, int32(id))
		}
	}
	return dst, nil
}

// Decode leaves out the end of text, and refuses ids that stand for no text.
func (t *bpe) Decode(ids []int32) (string, error) {
	codec, err := t.codec()
	if err != nil {
		return "", fmt.Errorf("tokenizer %s: %w", t.name, err)
	}
	text := make([]uint, 0, len(ids))
	for i, id := range ids {
		switch {
		case id == t.endOfText:
		case id < 0 || id >= t.ranks:
			return "", fmt.Errorf("tokenizer %s: id %d at position %d stands for no text", t.name, id, i)
		default:
			text = append(text, uint(id))
		}
	}
	return codec.Decode(text)
}

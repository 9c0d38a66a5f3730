package tokenizer

import (
	"fmt"
	"strings"
)

const bytesName = "bytes"

// Bytes maps every byte to its value. Byte 0, which text does not contain, is
// the end of text.
type Bytes struct{}

// Name implements [Tokenizer].
func (Bytes) Name() string { return bytesName }

// Vocabulary implements [Tokenizer].
func (Bytes) Vocabulary() int { return 256 }

// EndOfText implements [Tokenizer].
func (Bytes) EndOfText() int32 { return 0 }

// Encode implements [Tokenizer]; it never fails.
func (Bytes) Encode(dst []int32, text string) ([]int32, error) {
	for i := range len(text) {
		dst = append(dst, int32(text[i]))
	}
	return dst, nil
}

// Decode implements [Tokenizer].
func (Bytes) Decode(ids []int32) (string, error) {
	var text strings.Builder
	text.Grow(len(ids))
	for i, id := range ids {
		if id < 0 || id > 255 {
			return "", fmt.Errorf("tokenizer bytes: id %d at position %d is no byte", id, i)
		}
		if id != 0 {
			text.WriteByte(byte(id))
		}
	}
	return text.String(), nil
}

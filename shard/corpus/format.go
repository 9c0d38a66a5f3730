package corpus

import (
	"encoding/binary"
	"fmt"
	"math"
)

const (
	headerSize = 256 * 4 // bytes
	maxTokens  = math.MaxInt32
)

// format is one of the variants of a token file.
type format struct {
	magic, version int32
	width          int // bytes per token
}

var (
	narrow = format{magic: 20240520, version: 1, width: 2}
	wide   = format{magic: 20240801, version: 7, width: 4}
)

// formatFor returns the narrowest format that holds the ids below vocabulary.
func formatFor(vocabulary int) format {
	if vocabulary <= math.MaxUint16+1 {
		return narrow
	}
	return wide
}

// formatOf recognises a token file by its first bytes.
func formatOf(start []byte) (format, bool) {
	if len(start) < 4 {
		return format{}, false
	}
	magic := int32(binary.LittleEndian.Uint32(start))
	for _, f := range []format{narrow, wide} {
		if f.magic == magic {
			return f, true
		}
	}
	return format{}, false
}

// parseHeader checks the header of a file of size bytes and returns its format
// and its number of tokens.
func parseHeader(header []byte, size int64) (format, int, error) {
	if size < headerSize || len(header) < headerSize {
		return format{}, 0, fmt.Errorf("it is %d bytes long, less than a header of %d bytes: it was cut short or is no token file", size, headerSize)
	}
	f, known := formatOf(header)
	if !known {
		return format{}, 0, fmt.Errorf("it begins with %d, not with %d or %d: it is no token file; give a text file, or one made by llm.c's scripts",
			int32(binary.LittleEndian.Uint32(header)), narrow.magic, wide.magic)
	}
	if version := int32(binary.LittleEndian.Uint32(header[4:])); version != f.version {
		return format{}, 0, fmt.Errorf("it has version %d, but only version %d of magic %d is known: convert it again", version, f.version, f.magic)
	}
	tokens := int64(int32(binary.LittleEndian.Uint32(header[8:])))
	if tokens < 1 {
		return format{}, 0, fmt.Errorf("its header announces %d tokens: create it again", tokens)
	}
	if expected := headerSize + tokens*int64(f.width); size != expected {
		return format{}, 0, fmt.Errorf("it is %d bytes long, but %d tokens of %d bytes make %d: copy or create it again", size, tokens, f.width, expected)
	}
	return f, int(tokens), nil
}

// header returns the header of a file of that many tokens.
func (f format) header(tokens int) []byte {
	h := make([]byte, headerSize)
	binary.LittleEndian.PutUint32(h, uint32(f.magic))
	binary.LittleEndian.PutUint32(h[4:], uint32(f.version))
	binary.LittleEndian.PutUint32(h[8:], uint32(tokens))
	return h
}

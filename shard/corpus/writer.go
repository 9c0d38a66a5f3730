package corpus

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// Writer streams tokens into a new token file, which appears at its path, whole,
// when Commit returns. It is for one goroutine.
type Writer struct {
	path       string
	vocabulary int
	format     format
	pending    *renameio.PendingFile
	buffer     *bufio.Writer
	tokens     int
}

// NewWriter begins a token file for ids below vocabulary: uint16 tokens if that
// is at most 65536, uint32 tokens otherwise. The folder must exist.
func NewWriter(path string, vocabulary int) (*Writer, error) {
	pending, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o644), renameio.WithTempDir(filepath.Dir(path)))
	if err != nil {
		return nil, fmt.Errorf("token file %s cannot be created: %w", path, err)
	}
	w := &Writer{path: path, vocabulary: vocabulary, format: formatFor(vocabulary), pending: pending}
	w.buffer = bufio.NewWriterSize(pending, 1<<20)
	if _, err := w.buffer.Write(w.format.header(0)); err != nil {
		w.Abort()
		return nil, w.failed(err)
	}
	return w, nil
}

// Write appends tokens.
func (w *Writer) Write(tokens []int32) error {
	if len(tokens) > maxTokens-w.tokens {
		return fmt.Errorf("token file %s: the format holds at most %d tokens: split the text", w.path, maxTokens)
	}
	for _, token := range tokens {
		if token < 0 || int(token) >= w.vocabulary {
			return fmt.Errorf("token file %s: token %d at position %d is outside the vocabulary of %d", w.path, token, w.tokens, w.vocabulary)
		}
		var word [4]byte
		binary.LittleEndian.PutUint32(word[:], uint32(token))
		if _, err := w.buffer.Write(word[:w.format.width]); err != nil {
			return w.failed(err)
		}
		w.tokens++
	}
	return nil
}

// Commit writes the number of tokens into the header, syncs the file to disk and
// renames it into place. A file without tokens is refused.
func (w *Writer) Commit() error {
	if w.tokens == 0 {
		return fmt.Errorf("token file %s would hold no token: give some text", w.path)
	}
	if err := w.buffer.Flush(); err != nil {
		return w.failed(err)
	}
	if _, err := w.pending.WriteAt(w.format.header(w.tokens), 0); err != nil {
		return w.failed(err)
	}
	if err := w.pending.CloseAtomicallyReplace(); err != nil {
		return w.failed(err)
	}
	return nil
}

// Abort removes what was written, unless it was committed.
func (w *Writer) Abort() { _ = w.pending.Cleanup() }

// Len is the number of tokens written so far.
func (w *Writer) Len() int { return w.tokens }

func (w *Writer) failed(err error) error {
	return fmt.Errorf("token file %s cannot be written: %w; make room, or choose another cache folder with --cache", w.path, err)
}

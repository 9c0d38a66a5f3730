package corpus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"unicode/utf8"

	"parallax/shard/tokenizer"
)

const (
	pieceSize = 1 << 20 // bytes of text that are read and encoded at a time
	sniffSize = 8 << 10 // bytes by which text is told from what is none
)

// piece is a stretch of text on its way to the token file.
type piece struct {
	last    bool  // it ends its document
	done    int64 // bytes of the collection read when it was
	encoded chan encoded
}

type encoded struct {
	ids []int32
	err error
}

// reader cuts the documents of a collection into pieces and has them encoded. Its
// fields may be read once pieces is closed.
type reader struct {
	collection collection
	tokenizer  tokenizer.Tokenizer
	pieces     chan piece

	documents, binary, unreadable int
	taken                         int64 // bytes of text
	passed                        int64 // bytes of files left out
	err                           error
}

// run reads everything and closes pieces.
func (r *reader) run(ctx context.Context) {
	defer close(r.pieces)
	buffer := make([]byte, pieceSize)
	for _, d := range r.collection.documents {
		if limit := r.collection.limit; limit > 0 && r.taken >= limit {
			return
		}
		if r.err = r.document(ctx, d, buffer); r.err != nil {
			return
		}
	}
}

// document reads one file.
func (r *reader) document(ctx context.Context, d document, buffer []byte) error {
	path := r.collection.file(d)
	f, err := os.Open(path)
	if err != nil {
		r.unreadable++
		r.passed += d.size
		return nil
	}
	defer f.Close()
	for held, first := 0, true; ; first = false {
		n, err := io.ReadFull(f, buffer[held:])
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return fmt.Errorf("%s: %w", path, err)
		}
		held += n
		if first && !r.wanted(buffer[:held]) {
			r.passed += d.size
			return nil
		}
		cut := held
		if !last {
			cut = splitPoint(buffer[:held])
		}
		if err := r.send(ctx, string(buffer[:cut]), last); err != nil {
			return err
		}
		if last {
			r.documents++
			return nil
		}
		held = copy(buffer, buffer[cut:held])
	}
}

// wanted decides by the beginning of a file whether it is a document.
func (r *reader) wanted(start []byte) bool {
	start = start[:min(len(start), sniffSize)]
	if !isText(start) {
		r.binary++
		return false
	}
	return len(start) > 0 && !(r.collection.skipGenerated && generated.Match(start))
}

// generated is the line by which Go files say that a program wrote them:
// https://go.dev/s/generatedcode.
var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

// isText reports whether the beginning of a file has no NUL and is UTF-8 but for
// a character that may be cut at its end.
func isText(start []byte) bool {
	if bytes.IndexByte(start, 0) >= 0 {
		return false
	}
	if len(start) == sniffSize {
		for tail := 1; tail < utf8.UTFMax; tail++ {
			if cut := start[sniffSize-tail:]; utf8.RuneStart(cut[0]) {
				if !utf8.FullRune(cut) {
					start = start[:sniffSize-tail]
				}
				break
			}
		}
	}
	return utf8.Valid(start)
}

// splitPoint returns where to cut text so that both parts together are encoded
// like the whole: between an ASCII letter or digit and a space or newline, where
// each of the byte-pair encodings begins a new word. Text without one, such as a
// megabyte of Chinese, is cut between two characters, which may cost a token or
// two.
func splitPoint(text []byte) int {
	for i := len(text) - 1; i > 0; i-- {
		if (text[i] == ' ' || text[i] == '\n') && isAlphanumeric(text[i-1]) {
			return i
		}
	}
	for i := len(text) - 1; i > len(text)-utf8.UTFMax && i > 0; i-- {
		if utf8.RuneStart(text[i]) {
			return i
		}
	}
	return len(text)
}

func isAlphanumeric(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9'
}

// send passes a piece on and begins to encode it.
func (r *reader) send(ctx context.Context, text string, last bool) error {
	r.taken += int64(len(text))
	p := piece{last: last, done: r.taken, encoded: make(chan encoded, 1)}
	if r.collection.limit == 0 {
		p.done += r.passed
	}
	go func() {
		ids, err := r.tokenizer.Encode(nil, text)
		p.encoded <- encoded{ids: ids, err: err}
	}()
	select {
	case r.pieces <- p:
		return nil
	case <-ctx.Done():
		<-p.encoded
		return ctx.Err()
	}
}

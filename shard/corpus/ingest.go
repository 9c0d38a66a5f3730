package corpus

import (
	"context"
	"fmt"
	"runtime"

	"parallax/shard/tokenizer"
)

// ingest writes the tokens of a collection, each document followed by the end of
// text, and returns the manifest but for key and digest. One goroutine reads,
// each piece is encoded by one of its own, and this one writes them in order.
// Memory is bounded by some pieces per processor, however large the text.
func ingest(ctx context.Context, c collection, tok tokenizer.Tokenizer, w *Writer, report func(Progress)) (Manifest, error) {
	ctx, cancel := context.WithCancel(ctx)
	r := &reader{collection: c, tokenizer: tok, pieces: make(chan piece, runtime.GOMAXPROCS(0))}
	go r.run(ctx)
	defer func() {
		cancel()
		for p := range r.pieces { // so that no goroutine outlives the call
			<-p.encoded
		}
	}()
	if err := writePieces(r.pieces, tok.EndOfText(), w, progressOf(c.bytes(), report)); err != nil {
		return Manifest{}, err
	}
	if r.err != nil { // set before pieces was closed
		return Manifest{}, fmt.Errorf("tokenising %s: %w", c.root, r.err)
	}
	if r.documents == 0 {
		return Manifest{}, fmt.Errorf("there is no text in %s (%s not UTF-8 text, %d unreadable): give a text file or a folder of them",
			c.root, count(r.binary, "file"), r.unreadable+c.unreadable)
	}
	return Manifest{
		Source: c.name, Tokenizer: tok.Name(), Documents: r.documents, Bytes: r.taken, Tokens: w.Len(),
		Binary: r.binary, Unreadable: r.unreadable + c.unreadable,
	}, nil
}

// writePieces writes every piece as soon as it and all before it are encoded.
func writePieces(pieces <-chan piece, endOfText int32, w *Writer, progress func(done int64)) error {
	for p := range pieces {
		e := <-p.encoded
		if e.err != nil {
			return e.err
		}
		if p.last {
			e.ids = append(e.ids, endOfText)
		}
		if err := w.Write(e.ids); err != nil {
			return err
		}
		progress(p.done)
	}
	return nil
}

// progressOf reports no more often than every MiB and every hundredth.
func progressOf(total int64, report func(Progress)) func(done int64) {
	var next int64
	return func(done int64) {
		if done < next {
			return
		}
		next = done + max(pieceSize, total/100)
		report(Progress{Doing: "tokenising", Done: min(done, total), Total: total})
	}
}

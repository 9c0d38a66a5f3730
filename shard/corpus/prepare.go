package corpus

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"parallax/shard/tokenizer"
)

// Request says which text to prepare.
type Request struct {
	Path      string         // text file, folder or token file; empty: the Go source tree
	Tokenizer string         // see tokenizer.Names
	CacheDir  string         // of token files; empty: DefaultCacheDir
	Progress  func(Progress) // called from Prepare's goroutine; may be nil
}

func (r Request) report(p Progress) {
	if r.Progress != nil {
		r.Progress(p)
	}
}

// Prepared is text ready to be cut into sequences. Close its File when done.
type Prepared struct {
	File     *TokenFile
	Manifest Manifest
	Cached   bool // nothing had to be tokenised
}

// Summary describes the data in a line, such as
// "Go 1.26.8 source tree, 33.6 MB in 3852 files, 33.6 M byte tokens (cached)".
func (p *Prepared) Summary() string {
	line := p.Manifest.String()
	if p.Cached {
		line += " (cached)"
	}
	return line
}

// DefaultCacheDir is the folder parallax in the user's cache folder.
func DefaultCacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("there is no folder to keep tokenised data in: %w; choose one with --cache", err)
	}
	return filepath.Join(dir, "parallax"), nil
}

// Prepare opens the data that r names, tokenising it first if the cache does not
// hold it. When several processes ask for the same data at the same time, one
// does the work and the others wait for it. When ctx is cancelled it returns soon
// and leaves nothing half-done behind.
func Prepare(ctx context.Context, r Request) (*Prepared, error) {
	tok, err := tokenizer.New(r.Tokenizer)
	if err != nil {
		return nil, err
	}
	if r.Path != "" {
		switch is, err := isTokenFile(r.Path); {
		case err != nil:
			return nil, err
		case is:
			return openTokenFile(ctx, r)
		}
	}
	text, err := collect(ctx, r.Path)
	if err != nil {
		return nil, err
	}
	if r.CacheDir == "" {
		if r.CacheDir, err = DefaultCacheDir(); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(r.CacheDir, 0o755); err != nil {
		return nil, fmt.Errorf("the cache folder for tokenised data cannot be made: %w; choose another with --cache", err)
	}
	return newEntry(r.CacheDir, text, tok).prepare(ctx, r, text, tok)
}

// isTokenFile looks at the first bytes of a regular file.
func isTokenFile(path string) (bool, error) {
	info, err := os.Stat(path)
	if err != nil {
		return false, fmt.Errorf("data cannot be read: %w; give a text file, a folder of them or a token file", err)
	}
	if !info.Mode().IsRegular() {
		return false, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return false, fmt.Errorf("data cannot be read: %w", err)
	}
	defer f.Close()
	start := make([]byte, 4)
	n, err := io.ReadFull(f, start)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return false, fmt.Errorf("data cannot be read: %w", err)
	}
	_, is := formatOf(start[:n])
	return is, nil
}

// openTokenFile uses a token file as it is.
func openTokenFile(ctx context.Context, r Request) (*Prepared, error) {
	file, err := Open(r.Path)
	if err != nil {
		return nil, err
	}
	r.report(Progress{Doing: "checking " + r.Path})
	digest, err := file.Digest(ctx)
	if err != nil {
		file.Close()
		return nil, err
	}
	return &Prepared{File: file, Manifest: Manifest{
		Source: "token file " + r.Path, Tokenizer: r.Tokenizer, Tokens: file.Len(), SHA256: digest,
	}}, nil
}

// prepare finds the entry in the cache or makes it.
func (e entry) prepare(ctx context.Context, r Request, text collection, tok tokenizer.Tokenizer) (*Prepared, error) {
	if found, err := e.load(ctx); found != nil || err != nil {
		return found, err
	}
	lock, err := acquire(ctx, e.lockPath(), func(holder string) {
		r.report(Progress{Doing: "waiting for " + holder + ", which tokenises the same data"})
	})
	if err != nil {
		return nil, err
	}
	defer lock.release()
	if found, err := e.load(ctx); found != nil || err != nil {
		return found, err // made by the process that we waited for
	}
	e.removeRemains()
	if err := e.build(ctx, text, tok, r.report); err != nil {
		return nil, err
	}
	made, err := e.load(ctx)
	if err != nil {
		return nil, err
	}
	if made == nil {
		return nil, fmt.Errorf("token file %s changed while it was written: does another program use this cache folder?", e.tokenPath())
	}
	made.Cached = false
	return made, nil
}

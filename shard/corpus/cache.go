package corpus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"parallax/shard/tokenizer"
)

// rulesVersion is part of every key: raise it when the same text would be turned
// into other tokens.
const rulesVersion = 1

// Manifest describes a token file; it lies beside a cached one as JSON.
type Manifest struct {
	Key        string `json:"key"`       // of the text and the rules, see the package comment
	Source     string `json:"source"`    // in words
	Tokenizer  string `json:"tokenizer"` // its name
	Documents  int    `json:"documents"` // 0: unknown
	Bytes      int64  `json:"bytes"`     // of text
	Tokens     int    `json:"tokens"`
	Binary     int    `json:"binary"`     // files left out because they are not text
	Unreadable int    `json:"unreadable"` // files and folders left out because they could not be read
	SHA256     string `json:"sha256"`     // of the whole token file, in hexadecimal
}

// String describes the data in a line.
func (m Manifest) String() string {
	line := m.Source
	if m.Documents > 0 {
		line += fmt.Sprintf(", %s in %s", megabytes(m.Bytes), count(m.Documents, "file"))
	}
	unit := m.Tokenizer
	if unit == "bytes" {
		unit = "byte"
	}
	line += fmt.Sprintf(", %s %s tokens", millions(m.Tokens), unit)
	if skipped := m.Binary + m.Unreadable; skipped > 0 {
		line += fmt.Sprintf(", %s left out (%d not text, %d unreadable)", count(skipped, "file"), m.Binary, m.Unreadable)
	}
	return line
}

func megabytes(n int64) string {
	if n < 100_000 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

func millions(n int) string {
	if n < 100_000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%.1f M", float64(n)/1e6)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// entry is a place in the cache: a token file and its manifest.
type entry struct {
	dir, name string
	key       string
}

// newEntry names the entry of a text under a tokenizer.
func newEntry(dir string, text collection, tok tokenizer.Tokenizer) entry {
	hash := sha256.New()
	fmt.Fprintf(hash, "rules %d\ntokenizer %s\nroot %q\nlimit %d\ngenerated %v\n",
		rulesVersion, tok.Name(), text.root, text.limit, text.skipGenerated)
	for _, d := range text.documents {
		fmt.Fprintf(hash, "%q %d %d\n", d.path, d.size, d.modified)
	}
	key := hex.EncodeToString(hash.Sum(nil))
	return entry{dir: dir, name: fmt.Sprintf("%s-%s-%s", fileName(text.root), tok.Name(), key[:16]), key: key}
}

// fileName turns the last element of a path into something harmless.
func fileName(path string) string {
	safe := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '_'
	}, filepath.Base(path))
	return safe[:min(len(safe), 40)]
}

func (e entry) tokenPath() string    { return filepath.Join(e.dir, e.name+".bin") }
func (e entry) manifestPath() string { return filepath.Join(e.dir, e.name+".json") }
func (e entry) lockPath() string     { return filepath.Join(e.dir, e.name+".lock") }

// load returns the entry if the cache holds it undamaged, and nil if it has to be
// made. An error means that ctx was cancelled.
func (e entry) load(ctx context.Context) (*Prepared, error) {
	manifest, ok := e.readManifest()
	if !ok {
		return nil, nil
	}
	file, err := Open(e.tokenPath())
	if err != nil {
		return nil, nil // damaged: made again
	}
	digest, err := file.Digest(ctx)
	if err == nil && digest == manifest.SHA256 {
		e.touch()
		return &Prepared{File: file, Manifest: manifest, Cached: true}, nil
	}
	file.Close()
	return nil, err
}

func (e entry) readManifest() (Manifest, bool) {
	var m Manifest
	data, err := os.ReadFile(e.manifestPath())
	if err != nil || json.Unmarshal(data, &m) != nil {
		return Manifest{}, false
	}
	return m, m.Key == e.key
}

// build tokenises the text into the entry. Its lock must be held.
func (e entry) build(ctx context.Context, text collection, tok tokenizer.Tokenizer, report func(Progress)) error {
	w, err := NewWriter(e.tokenPath(), tok.Vocabulary())
	if err != nil {
		return err
	}
	defer w.Abort()
	manifest, err := ingest(ctx, text, tok, w, report)
	if err != nil {
		return err
	}
	if err := w.Commit(); err != nil {
		return err
	}
	file, err := Open(e.tokenPath())
	if err != nil {
		return err
	}
	defer file.Close()
	if manifest.SHA256, err = file.Digest(ctx); err != nil {
		os.Remove(e.tokenPath())
		return err
	}
	manifest.Key = e.key
	return e.writeManifest(manifest)
}

func (e entry) writeManifest(m Manifest) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err == nil {
		err = renameio.WriteFile(e.manifestPath(), append(data, '\n'), 0o644, renameio.WithTempDir(e.dir))
	}
	if err != nil {
		return fmt.Errorf("manifest %s cannot be written: %w", e.manifestPath(), err)
	}
	return nil
}

// removeRemains deletes what processes that died while they wrote this entry left
// behind. Its lock must be held.
func (e entry) removeRemains() {
	files, _ := os.ReadDir(e.dir) // what cannot be listed is left where it is
	for _, f := range files {
		if strings.HasPrefix(f.Name(), "."+e.name+".") {
			os.Remove(filepath.Join(e.dir, f.Name()))
		}
	}
}

package corpus

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Cached is an entry of a cache folder.
type Cached struct {
	Path     string // of the token file
	Manifest Manifest
	Bytes    int64     // of its files
	Used     time.Time // when a run last took it, or it was made
}

// touch notes that the entry is used: its manifest's time says when it was last. A
// cache that cannot be written to keeps its old times.
func (e entry) touch() {
	now := time.Now()
	_ = os.Chtimes(e.manifestPath(), now, now)
}

// List is what a cache folder holds, longest unused first; dir "" is
// [DefaultCacheDir]. Files that are no entries are left out.
func List(dir string) (all []Cached, err error) {
	if dir == "" {
		if dir, err = DefaultCacheDir(); err != nil {
			return nil, err
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the cache folder cannot be read: %w", err)
	}
	for _, f := range files {
		if e, is := entryOf(dir, f.Name()); is {
			if c, err := e.describe(); err == nil {
				all = append(all, c)
			}
		}
	}
	slices.SortFunc(all, func(a, b Cached) int { return cmp.Or(a.Used.Compare(b.Used), cmp.Compare(a.Path, b.Path)) })
	return all, nil
}

// entryOf is the entry whose manifest has a name: one that ends as the key in it
// begins.
func entryOf(dir, file string) (entry, bool) {
	name, isJSON := strings.CutSuffix(file, ".json")
	e := entry{dir: dir, name: name}
	data, err := os.ReadFile(e.manifestPath())
	var m Manifest
	if !isJSON || err != nil || json.Unmarshal(data, &m) != nil || len(m.Key) != 64 || !strings.HasSuffix(name, "-"+m.Key[:16]) {
		return entry{}, false
	}
	e.key = m.Key
	return e, true
}

func (e entry) describe() (c Cached, err error) {
	manifest, err := os.Stat(e.manifestPath())
	if err != nil {
		return c, err
	}
	c = Cached{Path: e.tokenPath(), Bytes: manifest.Size(), Used: manifest.ModTime()}
	c.Manifest, _ = e.readManifest()
	if tokens, err := os.Stat(e.tokenPath()); err == nil {
		c.Bytes += tokens.Size()
	}
	return c, nil
}

// Remove deletes the entry, unless another process is making it. A run that has it
// open keeps what it has; the next one makes it again.
func (c Cached) Remove() error {
	e := entry{dir: filepath.Dir(c.Path), name: strings.TrimSuffix(filepath.Base(c.Path), ".bin")}
	lock, holder, err := tryAcquire(e.lockPath())
	if err != nil {
		return err
	}
	if lock == nil {
		return fmt.Errorf("%s is being made by %s: try again when it is done", c.Path, holder)
	}
	defer lock.release()
	for _, path := range []string{e.manifestPath(), e.tokenPath()} { // without a manifest a token file counts for nothing
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("an entry of the cache cannot be removed: %w", err)
		}
	}
	return nil
}

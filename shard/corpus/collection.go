package corpus

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// document is a file of a collection.
type document struct {
	path     string // relative to the collection's root, with slashes
	size     int64  // bytes
	modified int64  // Unix nanoseconds
}

// collection is a list of files to be tokenised, in that order.
type collection struct {
	name          string // in words
	root          string // absolute path: a folder, or the single file itself
	documents     []document
	unreadable    int   // files and folders that could not be listed
	limit         int64 // take documents until they have so many bytes; 0: all
	skipGenerated bool  // leave out Go files that a program wrote
}

// file returns the path of a document.
func (c collection) file(d document) string { return filepath.Join(c.root, filepath.FromSlash(d.path)) }

// bytes is the size of all documents, or the limit if that is less.
func (c collection) bytes() int64 {
	var sum int64
	for _, d := range c.documents {
		sum += d.size
	}
	if c.limit > 0 {
		return min(sum, c.limit)
	}
	return sum
}

// collect lists the text at path, or the Go source tree if path is empty.
func collect(ctx context.Context, path string) (collection, error) {
	if path == "" {
		return collectGo(ctx)
	}
	root, err := filepath.Abs(path)
	if err != nil {
		return collection{}, fmt.Errorf("data %s: %w", path, err)
	}
	info, err := os.Stat(root)
	if err != nil {
		return collection{}, fmt.Errorf("data cannot be read: %w; give a text file, a folder of them or a token file", err)
	}
	c := collection{name: path, root: root}
	switch {
	case info.IsDir():
		err = c.walk(ctx, func(fs.DirEntry) bool { return true })
	case info.Mode().IsRegular():
		c.documents = []document{describe(".", info)}
	default:
		err = fmt.Errorf("data %s is neither a file nor a folder: give a text file, a folder of them or a token file", path)
	}
	return c, err
}

// walk fills in the documents below the root, shuffled. Hidden files and folders,
// symbolic links and what keep declines are left out; the root itself may be a
// link, as it is where Linux distributions install Go.
func (c *collection) walk(ctx context.Context, keep func(fs.DirEntry) bool) error {
	root, err := filepath.EvalSymlinks(c.root)
	if err != nil {
		return fmt.Errorf("data cannot be read: %w", err)
	}
	c.root = root
	err = filepath.WalkDir(c.root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("listing %s was interrupted: %w", c.root, ctx.Err())
		case err != nil && path == c.root:
			return fmt.Errorf("data cannot be read: %w", err)
		case err != nil:
			c.unreadable++
			return nil
		case path == c.root:
			return nil
		case strings.HasPrefix(d.Name(), ".") || !keep(d):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case !d.Type().IsRegular():
			return nil
		}
		return c.add(path, d)
	})
	rand.New(rand.NewPCG(rulesVersion, 0)).Shuffle(len(c.documents), func(i, j int) {
		c.documents[i], c.documents[j] = c.documents[j], c.documents[i]
	})
	return err
}

// add appends a file that is not empty.
func (c *collection) add(path string, d fs.DirEntry) error {
	info, err := d.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return nil // deleted since its folder was read
	}
	if err != nil {
		c.unreadable++
		return nil
	}
	relative, err := filepath.Rel(c.root, path)
	if err != nil {
		return err
	}
	if info.Size() > 0 {
		c.documents = append(c.documents, describe(filepath.ToSlash(relative), info))
	}
	return nil
}

func describe(path string, info fs.FileInfo) document {
	return document{path: path, size: info.Size(), modified: info.ModTime().UnixNano()}
}

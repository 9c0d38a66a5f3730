package corpus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// prepare runs Prepare and closes the file at the end of the test.
func prepare(t *testing.T, r Request) *Prepared {
	t.Helper()
	if r.Tokenizer == "" {
		r.Tokenizer = "bytes"
	}
	p, err := Prepare(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.File.Close() })
	return p
}

// text returns a file of byte tokens as text, with | for the end of text.
func text(f *TokenFile) string {
	ids := make([]int32, f.Len())
	f.Read(ids, 0)
	var b strings.Builder
	for _, id := range ids {
		if id == 0 {
			id = '|'
		}
		b.WriteByte(byte(id))
	}
	return b.String()
}

func TestPrepareFile(t *testing.T) {
	path, cache := writeFile(t, filepath.Join(t.TempDir(), "a b.txt"), []byte("hello\n")), t.TempDir()
	p := prepare(t, Request{Path: path, CacheDir: cache})
	if got := text(p.File); got != "hello\n|" {
		t.Errorf("tokens %q", got)
	}
	if want := path + ", 6 bytes in 1 file, 7 byte tokens"; p.Summary() != want || p.Cached {
		t.Errorf("summary %q, want %q", p.Summary(), want)
	}
	again := prepare(t, Request{Path: path, CacheDir: cache})
	if want := p.Summary() + " (cached)"; again.Summary() != want || again.Manifest != p.Manifest {
		t.Errorf("then %q, %+v, want %q", again.Summary(), again.Manifest, want)
	}
	if left := names(t, cache); len(left) != 2 || !strings.HasPrefix(left[0], "a_b_txt-bytes-") {
		t.Errorf("the cache holds %v, want a token file and a manifest", left)
	}
}

func TestPrepareWithEveryTokenizer(t *testing.T) {
	path, cache := writeFile(t, filepath.Join(t.TempDir(), "x"), []byte("hello world")), t.TempDir()
	for name, want := range map[string][]int32{
		"gpt2": {31373, 995, 50256}, "cl100k": {15339, 1917, 100257}, "o200k": {24912, 2375, 199999},
	} {
		p := prepare(t, Request{Path: path, Tokenizer: name, CacheDir: cache})
		got := make([]int32, p.File.Len())
		p.File.Read(got, 0)
		if !slices.Equal(got, want) || p.Manifest.Tokenizer != name {
			t.Errorf("%s: tokens %v, want %v", name, got, want)
		}
	}
}

func TestPrepareFolder(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string]string{
		"one.txt": "1", "sub/two.md": "zwei ü", "sub/three": "3", "empty": "",
		".hidden": "no", ".git/config": "no", "image.png": "\x89PNG\x00", "latin1.txt": "caf\xe9",
	} {
		writeFile(t, filepath.Join(dir, name), []byte(data))
	}
	if err := os.Symlink("one.txt", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	p := prepare(t, Request{Path: dir, CacheDir: t.TempDir()})
	documents := strings.Split(strings.TrimSuffix(text(p.File), "|"), "|")
	slices.Sort(documents)
	if want := []string{"1", "3", "zwei ü"}; !slices.Equal(documents, want) {
		t.Errorf("documents %q, want %q", documents, want)
	}
	if want := dir + ", 9 bytes in 3 files, 12 byte tokens, 2 files left out (2 not text, 0 unreadable)"; p.Summary() != want {
		t.Errorf("summary %q\nwant    %q", p.Summary(), want)
	}
	link := filepath.Join(t.TempDir(), "data")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	other := prepare(t, Request{Path: link, CacheDir: t.TempDir()})
	if other.Manifest.SHA256 != p.Manifest.SHA256 {
		t.Error("the same folder gives another token file through a link and in another cache")
	}
}

func TestPrepareNoticesChanges(t *testing.T) {
	dir, cache := t.TempDir(), t.TempDir()
	path := writeFile(t, filepath.Join(dir, "x"), []byte("old"))
	prepare(t, Request{Path: dir, CacheDir: cache})
	writeFile(t, path, []byte("new"))
	if err := os.Chtimes(path, time.Time{}, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if p := prepare(t, Request{Path: dir, CacheDir: cache}); p.Cached || text(p.File) != "new|" {
		t.Errorf("after an edit: %q, cached %v", text(p.File), p.Cached)
	}
	writeFile(t, filepath.Join(dir, "y"), []byte("more"))
	if p := prepare(t, Request{Path: dir, CacheDir: cache}); p.Cached || p.Manifest.Documents != 2 {
		t.Errorf("after a new file: %d documents, cached %v", p.Manifest.Documents, p.Cached)
	}
}

func TestPrepareRepairsTheCache(t *testing.T) {
	path := writeFile(t, filepath.Join(t.TempDir(), "x"), []byte("some text"))
	for name, damage := range map[string]func(bin, manifest string) error{
		"cut short":       func(bin, _ string) error { return os.Truncate(bin, 1030) },
		"gone":            func(bin, _ string) error { return os.Remove(bin) },
		"flipped":         func(bin, _ string) error { return flip(bin, 1024) },
		"no manifest":     func(_, manifest string) error { return os.Remove(manifest) },
		"half a manifest": func(_, manifest string) error { return os.Truncate(manifest, 20) },
		"another's":       func(_, manifest string) error { return flip(manifest, 14) },
		"crashed in writing": func(bin, manifest string) error {
			w, err := NewWriter(bin, 256) // and never ended
			if err == nil {
				t.Cleanup(w.Abort)
			}
			lock := strings.TrimSuffix(bin, ".bin") + ".lock"
			return errors.Join(err, os.Remove(manifest), os.WriteFile(lock, []byte("process 1"), 0o644))
		},
	} {
		cache := t.TempDir()
		first := prepare(t, Request{Path: path, CacheDir: cache})
		bin := first.File.Path()
		first.File.Close()
		if err := damage(bin, strings.TrimSuffix(bin, ".bin")+".json"); err != nil {
			t.Fatal(err)
		}
		p := prepare(t, Request{Path: path, CacheDir: cache})
		if p.Cached || text(p.File) != "some text|" || p.Manifest != first.Manifest {
			t.Errorf("%s: %q, cached %v, %+v", name, text(p.File), p.Cached, p.Manifest)
		}
		if left := names(t, cache); len(left) != 2 {
			t.Errorf("%s: the cache holds %v, want a token file and a manifest", name, left)
		}
	}
}

// flip changes one byte of a file.
func flip(path string, off int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, off); err != nil {
		return err
	}
	b[0] ^= 1
	_, err = f.WriteAt(b, off)
	return err
}

func TestPrepareTokenFile(t *testing.T) {
	path := writeTokens(t, 50257, 50256, 1, 2)
	p := prepare(t, Request{Path: path, Tokenizer: "gpt2", CacheDir: filepath.Join(t.TempDir(), "unused")})
	digest, err := p.File.Digest(context.Background())
	if err != nil || p.Manifest.SHA256 != digest || p.File.Path() != path || p.File.Len() != 3 {
		t.Errorf("%+v, %v", p.Manifest, err)
	}
	if want := "token file " + path + ", 3 gpt2 tokens"; p.Summary() != want {
		t.Errorf("summary %q, want %q", p.Summary(), want)
	}
	if err := os.Truncate(path, 1029); err != nil {
		t.Fatal(err)
	}
	p.File.Close()
	_, err = Prepare(context.Background(), Request{Path: path, Tokenizer: "gpt2"})
	if want := "token file " + path + " cannot be used: it is 1029 bytes long, but 3 tokens of 2 bytes make 1030: copy or create it again"; err == nil || err.Error() != want {
		t.Errorf("cut short: %v", err)
	}
}

func TestPrepareRefuses(t *testing.T) {
	dir := t.TempDir()
	empty := writeFile(t, filepath.Join(dir, "empty"), nil)
	binary := writeFile(t, filepath.Join(dir, "binary"), []byte("a\x00b"))
	file := writeFile(t, filepath.Join(dir, "file"), []byte("text"))
	for _, c := range []struct {
		r    Request
		want string
	}{
		{Request{Path: filepath.Join(dir, "nowhere")}, "data cannot be read: stat " + dir + "/nowhere: no such file or directory; give a text file, a folder of them or a token file"},
		{Request{Path: empty}, "there is no text in " + empty + " (0 files not UTF-8 text, 0 unreadable): give a text file or a folder of them"},
		{Request{Path: binary}, "there is no text in " + binary + " (1 file not UTF-8 text, 0 unreadable): give a text file or a folder of them"},
		{Request{Path: os.DevNull}, "data " + os.DevNull + " is neither a file nor a folder: give a text file, a folder of them or a token file"},
		{Request{Path: file, Tokenizer: "words"}, `unknown tokenizer "words": use one of bytes, gpt2, cl100k, o200k`},
		{Request{Path: file, CacheDir: filepath.Join(file, "cache")}, "the cache folder for tokenised data cannot be made: mkdir " + file + ": not a directory; choose another with --cache"},
	} {
		if c.r.Tokenizer == "" {
			c.r.Tokenizer = "bytes"
		}
		if c.r.CacheDir == "" {
			c.r.CacheDir = filepath.Join(dir, "cache")
		}
		if _, err := Prepare(context.Background(), c.r); err == nil || err.Error() != c.want {
			t.Errorf("%+v:\n%v\nwant\n%s", c.r, err, c.want)
		}
	}
	if left := names(t, filepath.Join(dir, "cache")); len(left) > 0 {
		t.Errorf("left in the cache: %v", left)
	}
}

func TestCancellationLeavesNothingBehind(t *testing.T) {
	path := writeFile(t, filepath.Join(t.TempDir(), "x"), bytes.Repeat([]byte("a line of text\n"), 8*pieceSize/15))
	cache := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	var reports []Progress
	_, err := Prepare(ctx, Request{Path: path, Tokenizer: "bytes", CacheDir: cache, Progress: func(p Progress) {
		reports = append(reports, p)
		cancel()
	}})
	if !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "tokenising "+path) {
		t.Errorf("a cancelled Prepare returns %v", err)
	}
	if len(reports) == 0 || reports[0].Total != 8*pieceSize/15*15 || reports[0].String() != "tokenising 1 of 8 MB" {
		t.Errorf("progress %v", reports)
	}
	if left := names(t, cache); len(left) > 0 {
		t.Errorf("left in the cache: %v", left)
	}
}

func TestManyAtOnceInOneProcess(t *testing.T) {
	path, cache := writeFile(t, filepath.Join(t.TempDir(), "x"), bytes.Repeat([]byte("text "), 1000)), t.TempDir()
	var wait sync.WaitGroup
	made := make([]bool, 8)
	for i := range made {
		wait.Go(func() {
			p, err := Prepare(context.Background(), Request{Path: path, Tokenizer: "bytes", CacheDir: cache})
			if err != nil {
				t.Error(err)
				return
			}
			made[i] = !p.Cached
			p.File.Close()
		})
	}
	wait.Wait()
	if n := len(slices.DeleteFunc(made, func(m bool) bool { return !m })); n != 1 {
		t.Errorf("%d of 8 tokenised the same text, want 1", n)
	}
}

func TestManyProcesses(t *testing.T) {
	path, cache := writeFile(t, filepath.Join(t.TempDir(), "x"), bytes.Repeat([]byte("text "), 100_000)), t.TempDir()
	var outputs [4]bytes.Buffer
	var wait sync.WaitGroup
	for i := range outputs {
		c := child(t, "prepare", path, cache)
		c.Stdout = &outputs[i]
		wait.Go(func() {
			if err := c.Run(); err != nil {
				t.Errorf("process %d: %v: %s", i, err, outputs[i].String())
			}
		})
	}
	wait.Wait()
	p := prepare(t, Request{Path: path, CacheDir: cache})
	made := 0
	for i := range outputs {
		switch outputs[i].String() {
		case fmt.Sprintln(false, p.Manifest.SHA256):
			made++
		case fmt.Sprintln(true, p.Manifest.SHA256):
		default:
			t.Errorf("process %d says %q", i, outputs[i].String())
		}
	}
	if made != 1 {
		t.Errorf("%d of 4 processes tokenised the same text, want 1", made)
	}
}

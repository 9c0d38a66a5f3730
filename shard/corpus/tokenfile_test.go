package corpus

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// writeTokens makes a token file in a new folder.
func writeTokens(t testing.TB, vocabulary int, tokens ...int32) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens.bin")
	w, err := NewWriter(path, vocabulary)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if err := errors.Join(w.Write(tokens), w.Commit()); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t testing.TB, path string) *TokenFile {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func writeFile(t testing.TB, path string, data []byte) string {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, data, 0o644)); err != nil {
		t.Fatal(err)
	}
	return path
}

// names lists a folder, recursively and sorted.
func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestWriteAndRead(t *testing.T) {
	for _, c := range []struct {
		vocabulary int
		tokens     []int32
		magic      uint32
		size       int64
	}{
		{65536, []int32{0, 1, 65535, 300, 2}, 20240520, 1024 + 5*2},
		{65537, []int32{65536, 0, 7}, 20240801, 1024 + 3*4},
	} {
		path := writeTokens(t, c.vocabulary, c.tokens...)
		data, err := os.ReadFile(path)
		if err != nil || int64(len(data)) != c.size || binary.LittleEndian.Uint32(data) != c.magic {
			t.Errorf("vocabulary %d: %d bytes, magic %d, %v; want %d and %d",
				c.vocabulary, len(data), binary.LittleEndian.Uint32(data), err, c.size, c.magic)
		}
		f := open(t, path)
		got := make([]int32, f.Len())
		f.Read(got, 0)
		if !slices.Equal(got, c.tokens) {
			t.Errorf("vocabulary %d: read %v, wrote %v", c.vocabulary, got, c.tokens)
		}
		f.Read(got[:2], 1)
		if !slices.Equal(got[:2], c.tokens[1:3]) {
			t.Errorf("vocabulary %d: tokens 1 and 2 are %v", c.vocabulary, got[:2])
		}
		if want := uint32(slices.Max(c.tokens)); f.MaxToken() != want {
			t.Errorf("vocabulary %d: the largest token is %d, want %d", c.vocabulary, f.MaxToken(), want)
		}
		sum := sha256.Sum256(data)
		if digest, err := f.Digest(context.Background()); err != nil || digest != hex.EncodeToString(sum[:]) {
			t.Errorf("vocabulary %d: digest %s, %v; want %x", c.vocabulary, digest, err, sum)
		}
	}
}

func TestReadStaysInside(t *testing.T) {
	f := open(t, writeTokens(t, 10, 1, 2, 3))
	for _, off := range []int{-1, 2} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("two tokens from %d on of three are read", off)
				}
			}()
			f.Read(make([]int32, 2), off)
		}()
	}
}

func TestDigestCanBeInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := open(t, writeTokens(t, 10, 1)).Digest(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled digest returns %v", err)
	}
}

func TestDamagedTokenFiles(t *testing.T) {
	good, err := os.ReadFile(writeTokens(t, 1000, 1, 2, 3, 4, 5))
	if err != nil {
		t.Fatal(err)
	}
	changed := func(off int, v uint32) []byte {
		b := slices.Clone(good)
		binary.LittleEndian.PutUint32(b[off:], v)
		return b
	}
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "it is 0 bytes long, less than a header of 1024 bytes: it was cut short or is no token file"},
		{"cut in the header", good[:1000], "it is 1000 bytes long, less than a header of 1024 bytes: it was cut short or is no token file"},
		{"cut in the tokens", good[:1031], "it is 1031 bytes long, but 5 tokens of 2 bytes make 1034: copy or create it again"},
		{"with a tail", append(slices.Clone(good), 0), "it is 1035 bytes long, but 5 tokens of 2 bytes make 1034: copy or create it again"},
		{"text", []byte(strings.Repeat("hello", 300)), "it begins with 1819043176, not with 20240520 or 20240801: it is no token file; give a text file, or one made by llm.c's scripts"},
		{"another version", changed(4, 2), "it has version 2, but only version 1 of magic 20240520 is known: convert it again"},
		{"no tokens", changed(8, 0), "its header announces 0 tokens: create it again"},
		{"negative tokens", changed(8, 1<<31), "its header announces -2147483648 tokens: create it again"},
		{"many tokens", changed(8, 1<<31-1), "it is 1034 bytes long, but 2147483647 tokens of 2 bytes make 4294968318: copy or create it again"},
		{"narrow data with a wide magic", changed(0, 20240801), "it has version 1, but only version 7 of magic 20240801 is known: convert it again"},
	} {
		path := writeFile(t, filepath.Join(t.TempDir(), "x.bin"), c.data)
		_, err := Open(path)
		if want := "token file " + path + " cannot be used: " + c.want; err == nil || err.Error() != want {
			t.Errorf("%s: %v\nwant %s", c.name, err, want)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "nowhere")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

func FuzzParseHeader(f *testing.F) {
	f.Add(narrow.header(3), int64(1030))
	f.Add(wide.header(1), int64(1028))
	f.Add(narrow.header(-1), int64(1022))
	f.Fuzz(func(t *testing.T, header []byte, size int64) {
		format, tokens, err := parseHeader(header, size)
		if err != nil {
			return
		}
		if tokens < 1 || headerSize+int64(tokens)*int64(format.width) != size {
			t.Errorf("%d tokens of %d bytes are accepted in %d bytes", tokens, format.width, size)
		}
		if known, ok := formatOf(format.header(tokens)); !ok || known != format {
			t.Errorf("format %+v is not recognised again", format)
		}
	})
}

func TestWriterRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.bin")
	w, err := NewWriter(path, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []int32{100, -1} {
		if err := w.Write([]int32{5, token}); err == nil || !strings.Contains(err.Error(), "outside the vocabulary of 100") {
			t.Errorf("token %d: %v", token, err)
		}
	}
	w.Abort()
	if w, err = NewWriter(path, 100); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err == nil || !strings.Contains(err.Error(), "would hold no token") {
		t.Errorf("a file without tokens: %v", err)
	}
	w.Abort()
	if left := names(t, dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := NewWriter(filepath.Join(dir, "no", "x.bin"), 100); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

// What stands at the path stays there, whole, until Commit.
func TestWriterReplacesAtOnce(t *testing.T) {
	path := writeTokens(t, 10, 1, 2, 3)
	w, err := NewWriter(path, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if err := w.Write([]int32{4}); err != nil {
		t.Fatal(err)
	}
	if n := open(t, path).Len(); n != 3 {
		t.Errorf("%d tokens before Commit, want the 3 old ones", n)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	if n := open(t, path).Len(); n != 1 {
		t.Errorf("%d tokens after Commit, want 1", n)
	}
}

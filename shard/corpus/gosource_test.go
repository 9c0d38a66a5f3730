package corpus

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestDefaultPathIsTheGoSourceTree(t *testing.T) {
	path, err := DefaultPath()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(path, "fmt", "print.go")); err != nil {
		t.Error(err)
	}
}

func TestNoGoInstallation(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if root := goCommandRoot(); root != "" {
		t.Errorf("without a go command its root is %q", root)
	}
	const want = "no data was given, and the default, the source tree of the Go installation, was not found: " +
		"pass --data FILE or FOLDER, or put the go command on PATH"
	if _, err := sourceTree("", filepath.Join(t.TempDir(), "nowhere")); err == nil || err.Error() != want {
		t.Errorf("without a Go installation: %v", err)
	}
}

func TestDefaultCorpus(t *testing.T) {
	c, err := collect(context.Background(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range c.documents {
		if !strings.HasSuffix(d.path, ".go") || strings.Contains("/"+d.path, "/testdata/") || strings.Contains("/"+d.path, "/vendor/") {
			t.Fatalf("%s is part of it", d.path)
		}
	}
	if c.bytes() != goLimit {
		t.Errorf("it has %d bytes, want all that are taken, %d", c.bytes(), goLimit)
	}
	c.limit = 2 << 20 // for a quick test
	_, m := ingestAll(t, c)
	if m.Bytes < c.limit || m.Documents < 50 || m.Binary > 0 || m.Unreadable > 0 {
		t.Errorf("%+v", m)
	}
	if want := regexp.MustCompile(`^Go( 1\.\S+)? source tree, 2\.\d MB in \d{3} files, 2\.\d M byte tokens$`); !want.MatchString(m.String()) {
		t.Errorf("summary %q", m)
	}
}

func TestGoVersion(t *testing.T) {
	dir := t.TempDir()
	src := filepath.Join(dir, "src")
	for content, want := range map[string]string{"go1.26.8\ntime 2026\n": "Go 1.26.8", "devel abc": "Go"} {
		writeFile(t, filepath.Join(dir, "VERSION"), []byte(content))
		if got := goVersion(src); got != want {
			t.Errorf("goVersion with %q is %q, want %q", content, got, want)
		}
	}
}

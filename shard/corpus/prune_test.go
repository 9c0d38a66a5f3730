package corpus

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestListAndRemove has two entries, of which one is used again, and a file of
// somebody else's.
func TestListAndRemove(t *testing.T) {
	cache := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	old, again := write("old.txt", "old text"), write("again.txt", "text that is used again")
	for _, path := range []string{old, again} {
		prepare(t, Request{Path: path, CacheDir: cache})
	}
	strange := filepath.Join(cache, "notes-0123456789abcdef.json")
	if err := os.WriteFile(strange, []byte(`{"key":"0123456789abcdef"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-100 * 24 * time.Hour)
	for _, c := range list(t, cache, 2) {
		if err := os.Chtimes(strings.TrimSuffix(c.Path, ".bin")+".json", long, long); err != nil {
			t.Fatal(err)
		}
	}
	if p := prepare(t, Request{Path: again, CacheDir: cache}); !p.Cached {
		t.Error("the entry is made again")
	}
	all := list(t, cache, 2)
	if !strings.Contains(all[0].Path, "old_txt") || time.Since(all[0].Used) < 99*24*time.Hour || time.Since(all[1].Used) > time.Hour {
		t.Errorf("listed %+v", all)
	}
	if info, err := os.Stat(all[0].Path); err != nil || all[0].Bytes <= info.Size() || all[0].Manifest.Source != old {
		t.Errorf("%+v, %v", all[0], err)
	}
	held, _, err := tryAcquire(strings.TrimSuffix(all[0].Path, ".bin") + ".lock")
	if err != nil {
		t.Fatal(err)
	}
	if err := all[0].Remove(); err == nil || !strings.Contains(err.Error(), "is being made by process") {
		t.Errorf("removed while it is made: %v", err)
	}
	held.release()
	if err := all[0].Remove(); err != nil {
		t.Fatal(err)
	}
	list(t, cache, 1)
	if left, _ := filepath.Glob(filepath.Join(cache, "*")); len(left) != 3 {
		t.Errorf("left are %v", left)
	}
	if none, err := List(filepath.Join(cache, "nowhere")); len(none) != 0 || err != nil {
		t.Errorf("of no folder: %v, %v", none, err)
	}
}

func list(t *testing.T, cache string, want int) []Cached {
	t.Helper()
	all, err := List(cache)
	if err != nil || len(all) != want {
		t.Fatalf("%d entries, %v; want %d", len(all), err, want)
	}
	return all
}

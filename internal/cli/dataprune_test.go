package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDataPrune makes a token file old: it is listed, kept without --remove, and gone
// with it.
func TestDataPrune(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.writeRun(1, 0)
	p.run("data", "prepare", "text.txt", "--cache", "tokens").want(0)
	manifests, err := filepath.Glob(p.path("tokens/*.json"))
	if err != nil || len(manifests) != 1 {
		t.Fatalf("%v, %v", manifests, err)
	}
	if said := p.run("data", "prune", "--cache", "tokens").want(0).stdout.String(); !strings.Contains(said, "unused for 30 days: 0 entries, none") {
		t.Errorf("new: %s", said)
	}
	long := time.Now().Add(-31 * 24 * time.Hour)
	if err := os.Chtimes(manifests[0], long, long); err != nil {
		t.Fatal(err)
	}
	var entries []struct {
		Source       string
		Old, Removed bool
	}
	p.run("data", "prune", "--cache", "tokens", "--json").want(0).decode(&entries)
	if len(entries) != 1 || !entries[0].Old || entries[0].Removed || !strings.Contains(entries[0].Source, "text.txt") {
		t.Errorf("old: %+v", entries)
	}
	p.run("data", "prune", "--cache", "tokens", "--remove").want(0)
	if left, _ := filepath.Glob(p.path("tokens/*")); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
	p.run("data", "prune", "--cache", "tokens", "--days", "-1").refuses(2, "--days -1")
}

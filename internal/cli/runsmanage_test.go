package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parallax/record"
)

// recorded makes a ledger with two runs, one of them unfinished.
func recorded(t *testing.T) (ledger string) {
	t.Helper()
	ledger = filepath.Join(t.TempDir(), "ledger.db")
	l, err := record.Open(ledger)
	if err != nil {
		t.Fatal(err)
	}
	for id, status := range map[string]record.Status{"20260101-000000-aaaa": record.Done, "20260102-000000-bbbb": record.Running} {
		r := record.Run{ID: id, Dir: "/runs/" + id, Status: status, Started: time.Unix(1e9, 0), Spec: "seed = 1\n"}
		if err := l.StartRun(r); err != nil {
			t.Fatal(err)
		}
		if err := l.AppendStep(id, record.Step{Step: 1, Loss: 2, Time: time.Unix(1e9, 0)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return ledger
}

// runs executes parallax runs in this process.
func runs(ledger string, args ...string) (out string, err error) {
	var b bytes.Buffer
	cmd := Parallax()
	cmd.SetOut(&b)
	cmd.SetArgs(append([]string{"runs", "--ledger", ledger}, args...))
	err = cmd.Execute()
	return b.String(), err
}

func mustRun(t *testing.T, ledger string, args ...string) (out string) {
	t.Helper()
	out, err := runs(ledger, args...)
	if err != nil {
		t.Fatalf("runs %v: %v", args, err)
	}
	return out
}

func wantUsageError(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil || exitCode(err) != exitUsage {
		t.Errorf("got %v with exit code %d, want a usage error", err, exitCode(err))
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

func TestRunsTag(t *testing.T) {
	ledger := recorded(t)
	if out := mustRun(t, ledger, "tag", "20260101", "baseline"); out != "run 20260101-000000-aaaa is named baseline now\n" {
		t.Errorf("runs tag prints %q", out)
	}
	if out := mustRun(t, ledger, "ls"); !strings.Contains(out, "20260101-000000-aaaa  baseline") {
		t.Errorf("runs ls prints\n%s", out)
	}
	_, err := runs(ledger, "tag", "1999", "x")
	wantUsageError(t, err, "there is no run", "1999")
	_, err = runs(ledger, "tag", "", "x")
	wantUsageError(t, err, "which run?")
}

func TestRunsShowJSON(t *testing.T) {
	ledger := recorded(t)
	l, err := record.Open(ledger)
	if err == nil {
		err = errors.Join(l.AppendStep("20260101-000000-aaaa", record.Step{Step: 9, Loss: math.NaN()}),
			l.AppendRank("20260101-000000-aaaa", record.Rank{Generation: 2, Node: "a", Peak: 5}),
			l.AppendLayer("20260101-000000-aaaa", record.Layer{Step: 9, Layer: 1, Entropy: 2, RankR: math.NaN()}),
			l.AppendEvent("20260101-000000-aaaa", record.Event{Sequence: 100, Kind: "notice", Text: "so"}), l.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	var shown struct {
		ID     string
		Steps  int64
		Loss   *float64
		Ranks  []shownRank
		Layers []struct {
			Entropy float64
			RankR   *float64 `json:"rank_r"`
		}
		Events []shownEvent
	}
	if err := json.Unmarshal([]byte(mustRun(t, ledger, "show", "20260101", "--json")), &shown); err != nil {
		t.Fatal(err)
	}
	if shown.ID != "20260101-000000-aaaa" || shown.Steps != 9 || shown.Loss != nil || len(shown.Ranks) == 0 || shown.Ranks[len(shown.Ranks)-1].Node != "a" ||
		len(shown.Layers) != 1 || shown.Layers[0].Entropy != 2 || shown.Layers[0].RankR != nil || shown.Events[len(shown.Events)-1].Text != "so" {
		t.Errorf("%+v", shown)
	}
	_, err = runs(ledger, "show", "--json", "--against", "x")
	wantUsageError(t, err, "--against x", "parallax compare")
}

func TestRunsRemove(t *testing.T) {
	ledger := recorded(t)
	_, err := runs(ledger, "rm", "20260101")
	wantUsageError(t, err, "20260101-000000-aaaa", "--yes")
	_, err = runs(ledger, "rm", "20260102", "--yes")
	wantUsageError(t, err, "running", "--force")
	if out := mustRun(t, ledger, "rm", "20260101", "--yes"); !strings.Contains(out, "/runs/20260101-000000-aaaa") {
		t.Errorf("it says %q", out)
	}
	mustRun(t, ledger, "rm", "20260102", "--yes", "--force")
	if out := mustRun(t, ledger, "ls", "--json"); out != "" {
		t.Errorf("still there: %s", out)
	}
}

// A run whose coordinator was killed is neither called running nor kept from being
// removed.
func TestRunsInterrupted(t *testing.T) {
	dir := t.TempDir()
	ledger := filepath.Join(dir, "ledger.db")
	l, err := record.Open(ledger)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.StartRun(record.Run{ID: "20260101-000000-aaaa", Dir: dir, Status: record.Running, Started: time.Unix(1e9, 0)}); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "coordinator.lock"), []byte("1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"ls"}, {"ls", "--json"}, {"show"}} {
		if out := mustRun(t, ledger, args...); !strings.Contains(out, interrupted) || strings.Contains(out, "running") {
			t.Errorf("runs %v says %s", args, out)
		}
	}
	mustRun(t, ledger, "rm", "20260101", "--yes")
}

func TestRunsImport(t *testing.T) {
	ledger, other := recorded(t), filepath.Join(t.TempDir(), "new", "other.db")
	file := filepath.Join(t.TempDir(), "run.jsonl")
	mustRun(t, ledger, "export", "20260101", "-o", file)
	mustRun(t, other, "import", file)
	want, got := mustRun(t, ledger, "export", "20260101"), mustRun(t, other, "export")
	if want != got {
		t.Errorf("exported %q, and after the import %q", want, got)
	}
	_, err := runs(other, "import", file)
	wantUsageError(t, err, file, "is in it already")
	_, err = runs(other, "import", file+".gz")
	wantUsageError(t, err, "cannot read the run")
}

func TestRunsExportForTensorBoard(t *testing.T) {
	ledger, dir := recorded(t), t.TempDir()
	out := mustRun(t, ledger, "export", "20260101", "--format", "tensorboard", "-o", dir)
	files, err := filepath.Glob(filepath.Join(dir, "20260101-000000-aaaa", "events.out.tfevents.*"))
	if len(files) != 1 || err != nil || !strings.Contains(out, files[0]) {
		t.Fatalf("wrote %v (%v) and says %q", files, err, out)
	}
	if info, err := os.Stat(files[0]); err != nil || info.Size() < 100 {
		t.Errorf("%v, %v", info, err)
	}
	_, err = runs(ledger, "export", "--format", "tensorboard")
	wantUsageError(t, err, "--output DIR")
}

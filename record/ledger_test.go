package record

import (
	"database/sql"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(crashEnv); path != "" {
		crash(path)
	}
	goleak.VerifyTestMain(m)
}

var nan = cmpopts.EquateNaNs()

var start = time.Date(2026, 11, 23, 19, 49, 46, 123456789, time.UTC)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// openNew opens a new ledger and closes it when the test ends.
func openNew(t *testing.T) *Ledger {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "a ledger?#%.db"))
}

func openAt(t *testing.T, path string) *Ledger {
	t.Helper()
	l, err := Open(path)
	must(t, err)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func testRun(id string) Run {
	return Run{
		ID: id, Name: "try", Dir: "/runs/x", Spec: "seed = 1\n\"quoted\"\n", SpecHash: "ab", Commit: "c0ffee", Versions: "go1.26", Host: "gpu01",
		Started: start, Status: Running, Parameters: 1 << 40, FLOPsPerToken: 1e10 / 3, FLOPsPerToken6N: 2e10, DataSummary: "1 MB, é", DataDigest: "dd",
	}
}

func testStep(n int64) Step {
	x := float64(n)
	return Step{
		Step: n, Generation: 3, World: 4, Loss: math.Exp(-x / 7), GradNorm: math.Pi * x, LR: 0.1 / 3, Tokens: 4096, FLOPs: 1e12 / 3, FLOPs6N: 1e13,
		Seconds: 0.5, Compute: 0.3, Reduce: 0.1, Wait: 0.05, Update: 0.05, TokensPerSecond: 8192, FLOPsPerSecond: 2e12, WireBytes: 1 << 33,
		Time: start.Add(time.Duration(n) * time.Second),
	}
}

func TestWhatIsRecordedIsRead(t *testing.T) {
	l := openNew(t)
	run := testRun("20261123-194946-7f3a")
	must(t, l.StartRun(run))
	step := testStep(1)
	step.Loss, step.GradNorm = math.NaN(), math.Inf(1)
	must(t, l.AppendStep(run.ID, step))
	eval := Eval{Step: 1, Generation: 3, Loss: 1 / 3.0, Tokens: 99, Seconds: 0.25, Time: start}
	must(t, l.AppendEval(run.ID, eval))
	ranks := []Rank{{3, 0, "n0", "gpu01", "cpu", 2, "EPYC", 1e11 / 3}, {3, 1, "n1", "gpu02", "cuda:0", 6, "", 0}}
	for _, r := range ranks {
		must(t, l.AppendRank(run.ID, r))
	}
	must(t, l.AppendEvent(run.ID, Event{Sequence: 1, Time: start, Kind: "view", Text: "generation 3: \xff", Payload: []byte("{\n \"a\": 1 }")}))
	must(t, l.AppendEvent(run.ID, Event{Sequence: 2, Time: start, Kind: "notice"}))

	check := func(name string, got, want any, err error) {
		t.Helper()
		if diff := cmp.Diff(want, got, nan); diff != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
	runs, err := l.Runs()
	check("runs", runs, []Run{run}, err)
	steps, err := l.Steps(run.ID)
	check("steps", steps, []Step{step}, err)
	evals, err := l.Evals(run.ID)
	check("evals", evals, []Eval{eval}, err)
	got, err := l.Ranks(run.ID)
	check("ranks", got, ranks, err)
	events, err := l.Events(run.ID)
	check("events", events, []Event{
		{Sequence: 1, Time: start, Kind: "view", Text: "generation 3: \uFFFD", Payload: []byte(`{"a":1}`)},
		{Sequence: 2, Time: start, Kind: "notice"},
	}, err)
}

func TestStepAgainReplaces(t *testing.T) {
	l := openNew(t)
	must(t, l.StartRun(testRun("r")))
	for _, n := range []int64{2, 1, 3} {
		must(t, l.AppendStep("r", testStep(n)))
	}
	must(t, l.Flush())
	again := testStep(2)
	again.Loss, again.Generation = 9, 4
	must(t, l.AppendStep("r", again))
	steps, err := l.Steps("r")
	if diff := cmp.Diff([]Step{testStep(1), again, testStep(3)}, steps); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

func TestUpdateAndFinishKeepTheSteps(t *testing.T) {
	l := openNew(t)
	run := testRun("r")
	must(t, l.StartRun(run))
	must(t, l.AppendStep("r", testStep(1)))
	run.Parameters = 7
	must(t, l.UpdateRun(run))
	must(t, l.FinishRun("r", Failed, 69, "quorum lost", start.Add(time.Hour)))
	run.Status, run.ExitCode, run.Reason, run.Finished = Failed, 69, "quorum lost", start.Add(time.Hour)
	got, err := l.Run("r")
	if diff := cmp.Diff(run, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if steps, err := l.Steps("r"); len(steps) != 1 || err != nil {
		t.Errorf("%d steps, %v", len(steps), err)
	}
	for _, err := range []error{l.UpdateRun(testRun("x")), l.FinishRun("x", Done, 0, "", start)} {
		if !errors.Is(err, ErrNoRun) {
			t.Errorf("got %v", err)
		}
	}
	if err := l.StartRun(testRun("r")); err == nil || !strings.Contains(err.Error(), "cannot record the start of run r") {
		t.Errorf("the same id twice: %v", err)
	}
}

func TestRunByReference(t *testing.T) {
	l := openNew(t)
	if _, err := l.Run(""); !errors.Is(err, ErrNoRun) || !strings.HasSuffix(err.Error(), "it is empty") {
		t.Errorf("got %v", err)
	}
	for i, id := range []string{"20260101-000000-aaaa", "20260101-000000-aabb", "20260102-000000-cccc"} {
		r := testRun(id)
		r.Started, r.Name = start.AddDate(0, 0, i), []string{"base", "twice", "twice"}[i]
		must(t, l.StartRun(r))
	}
	for ref, want := range map[string]string{"": "cccc", "20260101-000000-aaaa": "aaaa", "20260101-000000-aab": "aabb", "20260102": "cccc", "base": "aaaa"} {
		if r, err := l.Run(ref); err != nil || !strings.HasSuffix(r.ID, want) {
			t.Errorf("%q: %s, %v, want ...%s", ref, r.ID, err, want)
		}
	}
	for ref, want := range map[string]string{
		"20260101": `"20260101" fits several runs: 20260101-000000-aabb, 20260101-000000-aaaa`,
		"twice":    `"twice" fits several runs: 20260102-000000-cccc, 20260101-000000-aabb`,
		"nothing":  `there is no run "nothing"; the newest are 20260102-000000-cccc, 20260101-000000-aabb, 20260101-000000-aaaa`,
	} {
		if _, err := l.Run(ref); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%q: %v, want ...%s", ref, err, want)
		}
	}
}

func TestState(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l.db")
	l := openAt(t, path)
	for _, value := range []string{"old", "new\x00\xff", ""} {
		must(t, l.SaveState("r", "k", []byte(value)))
		other := openAt(t, path)
		got, found, err := other.LoadState("r", "k")
		if string(got) != value || !found || err != nil {
			t.Errorf("%q, %v, %v, want %q", got, found, err, value)
		}
	}
	if got, found, err := l.LoadState("", "k"); got != nil || found || err != nil {
		t.Errorf("a key of no run: %q, %v, %v", got, found, err)
	}
}

func TestForeignAndDamagedFilesAreRefusedUntouched(t *testing.T) {
	ledger := func(change func(*sql.DB) error) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			l, err := Open(path)
			must(t, err)
			must(t, l.StartRun(testRun("r")))
			for n := range int64(200) {
				must(t, l.AppendStep("r", testStep(n)))
			}
			must(t, l.Flush())
			must(t, change(l.db))
			must(t, l.Close())
		}
	}
	sound := ledger(func(*sql.DB) error { return nil })
	for _, c := range []struct {
		name string
		make func(t *testing.T, path string)
		want string
	}{
		{"text", func(t *testing.T, path string) {
			must(t, os.WriteFile(path, []byte(strings.Repeat("a file of text\n", 99)), 0o600))
		}, "file is not a database"},
		{"truncated", func(t *testing.T, path string) { sound(t, path); must(t, os.Truncate(path, 3*4096)) }, "malformed"},
		{"overwritten", func(t *testing.T, path string) {
			sound(t, path)
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			must(t, err)
			_, err = f.WriteAt(make([]byte, 4096), 8*4096)
			must(t, errors.Join(err, f.Close()))
		}, "the file is damaged: "},
		{"of a later version", ledger(func(db *sql.DB) error { _, err := db.Exec("PRAGMA user_version = 99"); return err }),
			fmt.Sprintf("the file has schema version 99, and this program knows up to %d: use the program that wrote it", len(migrations))},
		{"of another program", func(t *testing.T, path string) {
			db, err := sql.Open("sqlite", path)
			must(t, err)
			_, err = db.Exec("CREATE TABLE t (x)")
			must(t, errors.Join(err, db.Close()))
		}, "the file is a database of another program"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "l.db")
			c.make(t, path)
			before, err := os.ReadFile(path)
			must(t, err)
			if _, err := Open(path); err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "cannot open the ledger "+path) {
				t.Errorf("got %v, want ...%s", err, c.want)
			}
			after, err := os.ReadFile(path)
			if string(after) != string(before) || err != nil {
				t.Errorf("the file was changed, %v", err)
			}
		})
	}
}

func TestOpenNeedsAFolder(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{filepath.Join(dir, "absent", "l.db"), dir} {
		if _, err := Open(path); err == nil {
			t.Errorf("%s: opened", path)
		}
	}
	if _, err := OpenExisting(filepath.Join(dir, "l.db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if entries, err := os.ReadDir(dir); len(entries) != 0 || err != nil {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestRunIDsSort(t *testing.T) {
	id := NewRunID(start.In(time.FixedZone("", 3600)))
	if len(id) != 20 || !strings.HasPrefix(id, "20261123-194946-") {
		t.Errorf("id %s", id)
	}
}

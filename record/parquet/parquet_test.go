package parquet

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parallax/record"
)

var start = time.Date(2026, 11, 23, 19, 49, 46, 123456789, time.UTC)

func openNew(t *testing.T) *record.Ledger {
	t.Helper()
	l, err := record.Open(filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fill records a run whose numbers a careless exporter would lose.
func fill(t testing.TB, l *record.Ledger) {
	t.Helper()
	must(t, l.StartRun(record.Run{ID: "r1", Spec: "seed = 1\n\"é\"\n", Started: start, Status: record.Done, Parameters: 1 << 62, FLOPsPerToken: 1e10 / 3}))
	for n, x := range []float64{0.1, 1e-320, math.MaxFloat64, math.NaN(), math.Inf(1), math.Inf(-1), 1 << 53, math.Copysign(0, -1)} {
		must(t, l.AppendStep("r1", record.Step{Step: int64(n), Loss: x, Tokens: math.MaxInt64 - int64(n), Time: start.Add(time.Duration(n))}))
		must(t, l.AppendEval("r1", record.Eval{Step: int64(n), Loss: -x}))
	}
	must(t, l.AppendRank("r1", record.Rank{Generation: 1 << 62, Rank: 1, Node: "a\nb", Device: `"`, Peak: 1e12 / 3}))
	must(t, l.AppendLayer("r1", record.Layer{Step: 2, Layer: 1, Correction: math.NaN(), Entropy: 1 / 3.0, Time: start}))
	must(t, l.AppendRate("r1", record.Rate{Step: 2, Rank: 1, Steps: 3, TokensPerSecond: math.NaN(), LinkBytes: 1 / 3.0, Time: start}))
	must(t, l.AppendEvent("r1", record.Event{Sequence: 1, Time: start, Text: "<é>\u2028", Payload: []byte(`{"x":[1,null,12345678901234567890]}`)}))
	must(t, l.AppendEvent("r1", record.Event{Sequence: 2}))
}

func jsonl(t *testing.T, l *record.Ledger) string {
	t.Helper()
	var b bytes.Buffer
	must(t, l.ExportJSONL(&b, "r1"))
	return b.String()
}

func TestExportAndImportLoseNothing(t *testing.T) {
	a, b := openNew(t), openNew(t)
	fill(t, a)
	folder, err := Export(a, "r", t.TempDir())
	must(t, err)
	id, err := Import(b, folder)
	if err != nil || id != "r1" {
		t.Fatalf("%q, %v", id, err)
	}
	if got, want := jsonl(t, b), jsonl(t, a); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if _, err := Import(b, folder); err == nil || !strings.Contains(err.Error(), "run r1 is in it already") {
		t.Errorf("got %v", err)
	}
}

// A table's rows are more than one of the batches in which they are read.
func TestManyRows(t *testing.T) {
	a, b := openNew(t), openNew(t)
	fill(t, a)
	for n := range 1000 {
		must(t, a.AppendStep("r1", record.Step{Step: int64(n), Loss: 1 / float64(n)}))
	}
	folder, err := Export(a, "r1", t.TempDir())
	must(t, err)
	_, err = Import(b, folder)
	must(t, err)
	if jsonl(t, b) != jsonl(t, a) {
		t.Error("rows differ")
	}
}

func TestBadImportsAreRefusedWhole(t *testing.T) {
	source := openNew(t)
	fill(t, source)
	for name, c := range map[string]struct {
		spoil func(t *testing.T, folder string)
		want  string
	}{
		"no run":      {func(t *testing.T, f string) { must(t, os.Remove(filepath.Join(f, "runs.parquet"))) }, "no such file"},
		"cut off":     {func(t *testing.T, f string) { must(t, os.Truncate(filepath.Join(f, "steps.parquet"), 300)) }, "steps.parquet"},
		"empty":       {func(t *testing.T, f string) { must(t, os.Truncate(filepath.Join(f, "ranks.parquet"), 0)) }, "ranks.parquet"},
		"other table": {func(t *testing.T, f string) { replace(t, f, "steps", "evals") }, "table steps: column"},
		"more":        {func(t *testing.T, f string) { replace(t, f, "evals", "steps") }, "is unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			folder, err := Export(source, "r1", t.TempDir())
			must(t, err)
			c.spoil(t, folder)
			l := openNew(t)
			if _, err := Import(l, folder); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want ...%s", err, c.want)
			}
			if runs, err := l.Runs(); len(runs) != 0 || err != nil {
				t.Errorf("%d runs after a bad import, %v", len(runs), err)
			}
		})
	}
}

func replace(t *testing.T, folder, table, by string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(folder, fileOf(by)))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(folder, fileOf(table)), data, 0o644))
}

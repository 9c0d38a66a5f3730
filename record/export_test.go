package record

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fill records a run whose numbers a careless exporter would lose.
func fill(t *testing.T, l *Ledger, id string) {
	t.Helper()
	r := testRun(id)
	r.Finished, r.Status = start.Add(time.Minute), Done
	must(t, l.StartRun(r))
	for n, x := range []float64{0.1, 1e-320, math.MaxFloat64, math.NaN(), math.Inf(1), math.Inf(-1), 1 << 53, 100, 1e21} {
		s := testStep(int64(n))
		s.Loss, s.Tokens = x, math.MaxInt64-int64(n)
		must(t, l.AppendStep(id, s))
		must(t, l.AppendEval(id, Eval{Step: int64(n), Loss: -x, Time: start}))
	}
	must(t, l.AppendRank(id, Rank{Generation: 1 << 62, Rank: 1, Node: "a\nb", Device: `"`, Hardware: "EPYC", Peak: 1e12 / 3}))
	must(t, l.AppendLayer(id, Layer{Step: 2, Layer: 1, Generation: 9, Correction: math.NaN(), RankQ: 1 / 3.0, RankR: math.NaN(), Entropy: math.Inf(1), FirstToken: 5e-324, Time: start}))
	must(t, l.AppendRate(id, Rate{Step: 2, Rank: 1, Generation: 9, Steps: 7, TokensPerSecond: 1 / 3.0, LinkBytes: math.NaN(), Send: math.Inf(1), Receive: 5e-324, Time: start}))
	must(t, l.AppendEvent(id, Event{Sequence: 1, Time: start, Text: "<é>\u2028, \t", Payload: []byte(`{"x":[1,null,12345678901234567890]}`)}))
	must(t, l.AppendEvent(id, Event{Sequence: 2}))
}

func exported(t *testing.T, l *Ledger, id string) string {
	t.Helper()
	var b bytes.Buffer
	must(t, l.ExportJSONL(&b, id))
	return b.String()
}

func TestExportAndImportLoseNothing(t *testing.T) {
	a, b := openNew(t), openNew(t)
	fill(t, a, "20260101-000000-aaaa")
	text := exported(t, a, "20260101")
	id, err := b.Import(strings.NewReader(text))
	if err != nil || id != "20260101-000000-aaaa" {
		t.Fatalf("%q, %v", id, err)
	}
	for name, rows := range map[string]func(*Ledger) (any, error){
		"run":    func(l *Ledger) (any, error) { return l.Run(id) },
		"ranks":  func(l *Ledger) (any, error) { return l.Ranks(id) },
		"steps":  func(l *Ledger) (any, error) { return l.Steps(id) },
		"evals":  func(l *Ledger) (any, error) { return l.Evals(id) },
		"layers": func(l *Ledger) (any, error) { return l.Layers(id) },
		"rates":  func(l *Ledger) (any, error) { return l.Rates(id) },
		"events": func(l *Ledger) (any, error) { return l.Events(id) },
	} {
		want, err1 := rows(a)
		got, err2 := rows(b)
		if diff := cmp.Diff(want, got, nan); diff != "" || err1 != nil || err2 != nil {
			t.Errorf("%s: %v %v %s", name, err1, err2, diff)
		}
	}
	if again := exported(t, b, id); again != text {
		t.Errorf("exported again: %s", cmp.Diff(text, again))
	}
	if _, err := b.Import(strings.NewReader(text)); err == nil || !strings.HasSuffix(err.Error(), "import: run 20260101-000000-aaaa is in it already") {
		t.Errorf("got %v", err)
	}
}

func TestBadImportsAreRefusedWhole(t *testing.T) {
	source, l := openNew(t), openNew(t)
	fill(t, source, "r")
	lines := strings.SplitAfter(exported(t, source, "r"), "\n")
	run, step := lines[1], lines[3]
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "line 1 must be"},
		{"another file", "step,loss\n1,2\n", "line 1 must be"},
		{"no run", formatLine + "\n", "there is no run in it"},
		{"steps first", formatLine + "\n" + step, "line 2: one run must come first, and one only"},
		{"two runs", formatLine + "\n" + run + run, "line 3: one run must come first, and one only"},
		{"not JSON", formatLine + "\n" + run + step + "{\n", "line 4: "},
		{"unknown table", formatLine + "\n" + run + `{"table":"secrets"}`, `line 3: there is no table "secrets"`},
		{"column missing", formatLine + "\n" + run + strings.Replace(step, `"loss":0.1,`, "", 1), "line 3: table steps: column loss is missing"},
		{"column unknown", formatLine + "\n" + run + strings.Replace(step, `{`, `{"los":1,`, 1), `line 3: table steps: column "los" is unknown`},
		{"wrong type", formatLine + "\n" + run + strings.Replace(step, `"world":4`, `"world":4.5`, 1), "line 3: table steps: column world: "},
		{"number for text", formatLine + "\n" + strings.Replace(run, `"name":"try"`, `"name":1`, 1), "line 2: table runs: column name: 1 is no string"},
		{"year out of range", formatLine + "\n" + strings.Replace(run, `"2026-`, `"0026-`, 1), "the year 26 is out of range"},
		{"cut off", strings.Join(lines[:4], "")[:len(lines[0])+len(lines[1])+len(lines[2])+50], "line 4: "},
	} {
		if _, err := l.Import(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want ...%s", c.name, err, c.want)
		}
	}
	if runs, err := l.Runs(); len(runs) != 0 || err != nil {
		t.Errorf("%d runs after bad imports, %v", len(runs), err)
	}
}

func TestCSV(t *testing.T) {
	l := openNew(t)
	fill(t, l, "r")
	for table, rows := range map[string]int{"ranks": 1, "steps": 9, "evals": 9, "layers": 1, "rates": 1, "events": 2} {
		var b bytes.Buffer
		must(t, l.ExportCSV(&b, "r", table))
		got, err := csv.NewReader(&b).ReadAll()
		if len(got) != rows+1 || err != nil {
			t.Errorf("%s: %d lines, %v", table, len(got), err)
		}
	}
	var b strings.Builder
	must(t, l.ExportCSV(&b, "r", "evals"))
	const want = "step,generation,loss,tokens,seconds,time\n0,0,-0.1,0,0,2026-11-23T19:49:46.123456789Z\n1,0,-1e-320,0,0,"
	if !strings.HasPrefix(b.String(), want) {
		t.Errorf("got %s", b.String())
	}
	if err := l.ExportCSV(&b, "x", "steps"); !errors.Is(err, ErrNoRun) {
		t.Errorf("got %v", err)
	}
	if err := l.ExportCSV(&b, "r", "state"); err == nil || err.Error() != `there is no table "state": choose one of ranks, steps, evals, layers, rates, events` {
		t.Errorf("got %v", err)
	}
}

// Every column of the schema is mapped, in the schema's order, so that nothing
// is left out of an export.
func TestColumnsAreTheSchemas(t *testing.T) {
	l := openNew(t)
	for table, mapped := range map[string]string{
		"runs": runTable.names(), "ranks": rankTable.names(), "steps": stepTable.names(), "evals": evalTable.names(), "layers": layerTable.names(), "rates": rateTable.names(), "events": eventTable.names(),
	} {
		rows, err := l.db.Query("SELECT name FROM pragma_table_info(?) WHERE name != 'run'", table)
		must(t, err)
		var names []string
		for rows.Next() {
			var name string
			must(t, rows.Scan(&name))
			names = append(names, fmt.Sprintf("%q", name))
		}
		must(t, rows.Close())
		if got := strings.Join(names, ", "); got != mapped {
			t.Errorf("%s: the schema has %s, the mapping %s", table, got, mapped)
		}
	}
}

// A run that was exported before ranks had a peak, and layers were looked into.
func TestImportFromAnEarlierVersion(t *testing.T) {
	source, l := openNew(t), openNew(t)
	fill(t, source, "r")
	text, cut := regexp.MustCompile(`,"hardware":"EPYC","peak":[^}]*`).ReplaceAllString(exported(t, source, "r"), ""), false
	var lines []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, `{"table":"layers"`) {
			cut = true
			continue
		}
		lines = append(lines, line)
	}
	if _, err := l.Import(strings.NewReader(strings.Join(lines, ""))); err != nil || !cut {
		t.Fatal(err, cut)
	}
	ranks, err := l.Ranks("r")
	if err != nil || len(ranks) != 1 || ranks[0].Node != "a\nb" || ranks[0].Hardware != "" || ranks[0].Peak != 0 {
		t.Errorf("%+v, %v", ranks, err)
	}
}

func FuzzImport(f *testing.F) {
	f.Add(formatLine + "\n" + `{"table":"runs","id":"r"}`)
	f.Add(formatLine + "\n" + `{"table":"runs","id":"r","name":"","dir":"","spec":"","spec_hash":"","commit":"","versions":"","host":"","started":"","finished":"","status":"","exit_code":0,"reason":"","parameters":1,"flops_per_token":1e3,"flops_per_token_6n":"NaN","data_summary":"","data_digest":""}` + "\n" + `{"table":"events","sequence":1,"time":"2026-01-01T00:00:00Z","kind":"","text":"","payload":null}`)
	f.Fuzz(func(t *testing.T, text string) {
		var i Importer
		if err := i.read(strings.NewReader(text)); err == nil && i.run == "" {
			t.Error("an import without a run")
		}
	})
}

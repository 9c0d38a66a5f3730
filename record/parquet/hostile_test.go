package parquet

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"parallax/record"
)

// read reads a file as a table of a run.
func read(table string, data []byte) error {
	var rows record.Importer
	if table != "runs" {
		run := map[string]any{}
		columns, _ := record.Columns("runs")
		for _, c := range columns {
			v := map[record.Type]any{record.Integer: int64(0), record.Real: 0.0, record.Text: "r"}[c.Type]
			if c.Type == record.Instant {
				v = start
			}
			run[c.Name] = v
		}
		if err := rows.Add("runs", run); err != nil {
			return err
		}
	}
	return readTable(&rows, table, bytes.NewReader(data), int64(len(data)))
}

// FuzzReadTable reads damaged exports of every table.
func FuzzReadTable(f *testing.F) {
	l, err := record.Open(filepath.Join(f.TempDir(), "ledger.db"))
	if err != nil {
		f.Fatal(err)
	}
	fill(f, l)
	folder, err := Export(l, "r1", f.TempDir())
	if err == nil {
		err = l.Close()
	}
	if err != nil {
		f.Fatal(err)
	}
	for i, table := range record.AllTables {
		data, err := os.ReadFile(filepath.Join(folder, fileOf(table)))
		if err != nil {
			f.Fatal(err)
		}
		if err := read(table, data); err != nil {
			f.Fatalf("%s as it was exported: %v", table, err)
		}
		f.Add(uint8(i), data)
	}
	f.Fuzz(func(_ *testing.T, table uint8, data []byte) {
		_ = read(record.AllTables[int(table)%len(record.AllTables)], data)
	})
}

// TestCountsAreHeldAgainstTheFile tells of more than a file of 1000 bytes can hold.
func TestCountsAreHeldAgainstTheFile(t *testing.T) {
	good := chunk{"loss", typeDouble, codecZstd, 10, 4, 500}
	with := func(change func(*chunk)) []group {
		k := good
		change(&k)
		return []group{{10, []chunk{k}}}
	}
	if err := checkGroups(with(func(*chunk) {}), 900, 1000); err != nil {
		t.Error(err)
	}
	for name, groups := range map[string][]group{
		"rows":         {{rows: 1 << 40}},
		"rows in all":  slices.Repeat([]group{{rows: freeRows}}, 2),
		"no rows":      {{rows: -1}},
		"before":       with(func(k *chunk) { k.offset = 0 }),
		"behind":       with(func(k *chunk) { k.offset = 901 }),
		"too long":     with(func(k *chunk) { k.size = 897 }),
		"negative":     with(func(k *chunk) { k.size = -1 }),
		"overflow":     with(func(k *chunk) { k.offset, k.size = math.MaxInt64, math.MaxInt64 }),
		"values":       with(func(k *chunk) { k.values = 11 }),
		"one on other": {{10, []chunk{good, good}}},
	} {
		if checkGroups(groups, 900, 1000) == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestPageHeadersAreHeldAgainstTheChunk(t *testing.T) {
	good := pageHeader{kind: pageV2, unpacked: 80, packed: 90, values: 10, nulls: 2, rows: 10, definitionLevels: 5}
	if err := good.check(10, 90); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*pageHeader){
		"dictionary":     func(h *pageHeader) { h.kind = 2 },
		"encoding":       func(h *pageHeader) { h.encoding = 8 },
		"packed":         func(h *pageHeader) { h.packed = 91 },
		"unpacked":       func(h *pageHeader) { h.unpacked = maxPage + 1 },
		"negative":       func(h *pageHeader) { h.unpacked = -1 },
		"empty":          func(h *pageHeader) { h.values, h.rows, h.nulls = 0, 0, 0 },
		"more values":    func(h *pageHeader) { h.values, h.rows = 11, 11 },
		"more nulls":     func(h *pageHeader) { h.nulls = 11 },
		"rows":           func(h *pageHeader) { h.rows = 9 },
		"levels":         func(h *pageHeader) { h.definitionLevels = 81 },
		"nested columns": func(h *pageHeader) { h.repetitionLeft = 1 },
	} {
		h := good
		change(&h)
		if h.check(10, 90) == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// TestABombIsNotUnpacked has a page that says of itself that it is small.
func TestABombIsNotUnpacked(t *testing.T) {
	l := openNew(t)
	fill(t, l)
	must(t, l.AppendEvent("r1", record.Event{Sequence: 3, Text: strings.Repeat("x", maxPage+1)}))
	folder, err := Export(l, "r1", t.TempDir())
	must(t, err)
	if _, err := Import(openNew(t), folder); err == nil || !strings.Contains(err.Error(), "events.parquet") {
		t.Errorf("got %v", err)
	}
}

func TestDeltasAreHeldAgainstThePage(t *testing.T) {
	// Blocks of 128 in 4 miniblocks, 3 values from 5 on, all deltas 1.
	data := []byte{128, 1, 4, 3, 10, 2, 0, 0, 0, 0, 'x'}
	if got, rest, err := deltas(data, 3); err != nil || !slices.Equal(got, []int64{5, 6, 7}) || string(rest) != "x" {
		t.Errorf("%v, %q, %v", got, rest, err)
	}
	for name, bad := range map[string][]byte{
		"other count":  {128, 1, 4, 4, 10, 2, 0, 0, 0, 0},
		"no miniblock": {128, 1, 0, 3, 10, 2, 0, 0, 0, 0},
		"huge block":   {128, 128, 128, 128, 16, 4, 3, 10, 2, 0, 0, 0, 0},
		"wide":         append([]byte{128, 1, 4, 3, 10, 2, 65, 0, 0, 0}, make([]byte, 1000)...),
		"cut off":      {128, 1, 4, 3, 10, 2, 64, 0, 0, 0},
		"empty":        {},
	} {
		if got, _, err := deltas(bad, 3); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestPresence(t *testing.T) {
	for _, c := range []struct {
		levels        []byte
		values, nulls int64
		want          []bool // nil: refused
	}{
		{[]byte{4, 1, 2, 0}, 3, 1, []bool{true, true, false}}, // a run of two, a run of one
		{[]byte{3, 0b101}, 3, 1, []bool{true, false, true}},   // eight packed, of which three count
		{[]byte{4, 1, 2, 0}, 3, 0, nil},
		{[]byte{4, 1}, 3, 0, nil},
		{[]byte{0, 1}, 3, 0, nil},
		{[]byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 7}, 3, 0, nil},
	} {
		got, err := presence(c.levels, pageHeader{values: c.values, nulls: c.nulls}, true)
		if (err == nil) != (c.want != nil) || err == nil && !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, %v, want %v", c.levels, got, err, c.want)
		}
	}
}

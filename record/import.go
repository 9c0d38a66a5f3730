package record

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxLine bounds a line of an import, in bytes.
const maxLine = 16 << 20

// Import reads what [Ledger.ExportJSONL] wrote, one run, and returns its id. A
// run that the ledger has already is refused, and so is a line with a column
// missing or unknown; then nothing is imported.
func (l *Ledger) Import(r io.Reader) (run string, err error) {
	var i importer
	if err := i.read(r); err != nil {
		return "", fmt.Errorf("import: %w", err)
	}
	if err := l.Flush(); err != nil {
		return "", err
	}
	if err := l.refuseKnown(i.run); err != nil {
		return "", err
	}
	if err := l.writeAll(i.writes); err != nil {
		return "", fmt.Errorf("ledger %s: import of run %s: %w", l.path, i.run, err)
	}
	return i.run, nil
}

func (l *Ledger) refuseKnown(run string) error {
	runs, err := l.Runs()
	if err != nil {
		return err
	}
	for _, r := range runs {
		if r.ID == run {
			return fmt.Errorf("ledger %s: import: run %s is in it already", l.path, run)
		}
	}
	return nil
}

// importer turns lines into writes.
type importer struct {
	run    string
	writes []write
}

func (i *importer) read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	if !lines.Scan() || lines.Text() != formatLine {
		return errors.Join(fmt.Errorf("line 1 must be %s", formatLine), lines.Err())
	}
	n := 1
	for lines.Scan() {
		n++
		if err := i.line(lines.Bytes()); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("line %d: %w", n+1, err)
	}
	if i.run == "" {
		return errors.New("there is no run in it")
	}
	return nil
}

func (i *importer) line(text []byte) error {
	var cells map[string]json.RawMessage
	if err := json.Unmarshal(text, &cells); err != nil {
		return err
	}
	var name string
	if err := json.Unmarshal(cells["table"], &name); err != nil {
		return errors.New("it names no table")
	}
	delete(cells, "table")
	if (name == runTable.name) != (i.run == "") {
		return errors.New("one run must come first, and one only")
	}
	switch name {
	case runTable.name:
		return i.addRun(cells)
	case rankTable.name:
		return add(i, rankTable, cells)
	case stepTable.name:
		return add(i, stepTable, cells)
	case evalTable.name:
		return add(i, evalTable, cells)
	case eventTable.name:
		return add(i, eventTable, cells)
	}
	return fmt.Errorf("there is no table %.40q", name)
}

func (i *importer) addRun(cells map[string]json.RawMessage) error {
	r, err := parseRow(runTable, cells)
	if err != nil {
		return err
	}
	if r.ID == "" {
		return errors.New("the run has no id")
	}
	i.run = r.ID
	i.writes = append(i.writes, insertRun(*r))
	return nil
}

func add[T any](i *importer, t table[T], cells map[string]json.RawMessage) error {
	row, err := parseRow(t, cells)
	if err != nil {
		return err
	}
	i.writes = append(i.writes, write{t.put(), append([]any{i.run}, t.values(row)...)})
	return nil
}

// parseRow reads a row that has all columns and no others.
func parseRow[T any](t table[T], cells map[string]json.RawMessage) (*T, error) {
	row := new(T)
	for _, c := range t.columns {
		text, ok := cells[c.name]
		if !ok {
			return nil, fmt.Errorf("table %s: column %s is missing", t.name, c.name)
		}
		if err := fromJSON(c.field(row), bytes.Clone(text)); err != nil {
			return nil, fmt.Errorf("table %s: column %s: %w", t.name, c.name, err)
		}
		delete(cells, c.name)
	}
	for name := range cells {
		return nil, fmt.Errorf("table %s: column %.40q is unknown", t.name, name)
	}
	return row, nil
}

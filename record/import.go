package record

import (
	"bufio"
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
	var i Importer
	if err := i.read(r); err != nil {
		return "", fmt.Errorf("import: %w", err)
	}
	return l.ImportRows(&i)
}

// ImportRows writes what an importer has, and returns the run's id, or writes
// nothing.
func (l *Ledger) ImportRows(i *Importer) (run string, err error) {
	if i.run == "" {
		return "", errors.New("import: there is no run in it")
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

// Importer gathers the rows of one run. The zero value is empty.
type Importer struct {
	run    string
	writes []write
}

// Add takes a row of one of [AllTables], the run itself first, as
// [Ledger.ReadTable] yields it: values by the names of their columns. Columns that
// a run recorded by an earlier version did not have may be missing, others not.
func (i *Importer) Add(table string, row map[string]any) error {
	used := 0
	err := i.add(table, func(column string, field any) (bool, error) {
		value, has := row[column]
		if !has {
			return false, nil
		}
		used++
		return true, fromPlain(field, value)
	})
	if err == nil && used < len(row) {
		err = fmt.Errorf("table %s has %d columns, of which %d are known", table, len(row), used)
	}
	return err
}

func (i *Importer) add(table string, fill func(column string, field any) (bool, error)) error {
	t, err := find(all, table)
	if err != nil {
		return err
	}
	if (table == runTable.name) != (i.run == "") {
		return errors.New("one run must come first, and one only")
	}
	w, err := t.parse(i.run, fill)
	if err != nil {
		return err
	}
	if table == runTable.name {
		if i.run, _ = w.args[0].(string); i.run == "" {
			return errors.New("the run has no id")
		}
	}
	i.writes = append(i.writes, w)
	return nil
}

func (i *Importer) read(r io.Reader) error {
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

func (i *Importer) line(text []byte) error {
	var cells map[string]json.RawMessage
	if err := json.Unmarshal(text, &cells); err != nil {
		return err
	}
	var name string
	if err := json.Unmarshal(cells["table"], &name); err != nil {
		return errors.New("it names no table")
	}
	delete(cells, "table")
	err := i.add(name, func(column string, field any) (bool, error) {
		value, has := cells[column]
		if !has {
			return false, nil
		}
		delete(cells, column)
		return true, fromJSON(field, value)
	})
	if err != nil {
		return err
	}
	for column := range cells {
		return fmt.Errorf("table %s: column %.40q is unknown", name, column)
	}
	return nil
}

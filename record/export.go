package record

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// formatLine begins every file of JSON lines.
const formatLine = `{"table":"parallax-ledger","version":1}`

// Tables are the names that [Ledger.ExportCSV] takes.
var Tables = titles(all[1:])

// AllTables are those of a whole run for [Ledger.ReadTable], the run itself first.
var AllTables = titles(all)

func titles(tables []anyTable) []string {
	names := make([]string, len(tables))
	for i, t := range tables {
		names[i] = t.title()
	}
	return names
}

func find(tables []anyTable, name string) (anyTable, error) {
	i := slices.IndexFunc(tables, func(t anyTable) bool { return t.title() == name })
	if i < 0 {
		return nil, fmt.Errorf("there is no table %.40q: choose one of %s", name, strings.Join(titles(tables), ", "))
	}
	return tables[i], nil
}

// Columns describes one of [AllTables].
func Columns(table string) ([]Column, error) {
	t, err := find(all, table)
	if err != nil {
		return nil, err
	}
	return t.describe(), nil
}

// ReadTable visits the rows of one of [AllTables], for a format that this package
// does not know. Each value is as its column's [Type] says; the row is valid until
// visit returns.
func (l *Ledger) ReadTable(run, table string, visit func(row []any) error) error {
	t, err := find(all, table)
	if err != nil {
		return err
	}
	return t.visit(l, run, func(fields []any) error {
		for i, f := range fields {
			fields[i] = toPlain(f)
		}
		return visit(fields)
	})
}

// ExportCSV writes one table of a run, which it finds as [Ledger.Run] does, as
// CSV with a header line; times are RFC 3339 in UTC.
func (l *Ledger) ExportCSV(w io.Writer, run, table string) error {
	r, err := l.Run(run)
	if err != nil {
		return err
	}
	t, err := find(all[1:], table)
	if err != nil {
		return err
	}
	out := csv.NewWriter(w)
	line := make([]string, len(t.describe()))
	for i, c := range t.describe() {
		line[i] = c.Name
	}
	if err := out.Write(line); err != nil {
		return err
	}
	err = t.visit(l, r.ID, func(fields []any) error {
		for i, f := range fields {
			line[i] = toText(f)
		}
		return out.Write(line)
	})
	out.Flush()
	return errors.Join(err, out.Error())
}

// ExportJSONL writes all that the ledger has of a run, found as [Ledger.Run]
// does, one JSON object a line, for [Ledger.Import] or any other reader: the
// run, then its ranks, steps, evaluations, layers, rates and events, each with the name of
// its table. Nothing is lost but the coordinator's state.
func (l *Ledger) ExportJSONL(w io.Writer, run string) error {
	r, err := l.Run(run)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	if _, err := out.WriteString(formatLine + "\n"); err != nil {
		return err
	}
	for _, t := range all {
		columns := t.describe()
		if err := t.visit(l, r.ID, func(fields []any) error { return writeJSONL(t.title(), columns, fields, out) }); err != nil {
			return err
		}
	}
	return out.Flush()
}

func writeJSONL(table string, columns []Column, fields []any, out *bufio.Writer) error {
	line := fmt.Appendf(nil, `{"table":%q`, table)
	for i, c := range columns {
		value, err := toJSON(fields[i])
		if err != nil {
			return err
		}
		line = append(fmt.Appendf(line, `,%q:`, c.Name), value...)
	}
	_, err := out.Write(append(line, '}', '\n'))
	return err
}

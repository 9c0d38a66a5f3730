package record

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

// formatLine begins every file of JSON lines.
const formatLine = `{"table":"parallax-ledger","version":1}`

// Tables are the names that [Ledger.ExportCSV] takes.
var Tables = []string{rankTable.name, stepTable.name, evalTable.name, eventTable.name}

// ExportCSV writes one table of a run, which it finds as [Ledger.Run] does, as
// CSV with a header line; times are RFC 3339 in UTC.
func (l *Ledger) ExportCSV(w io.Writer, run, table string) error {
	r, err := l.Run(run)
	if err != nil {
		return err
	}
	out := csv.NewWriter(w)
	switch table {
	case rankTable.name:
		err = exportCSV(l, rankTable, r.ID, out)
	case stepTable.name:
		err = exportCSV(l, stepTable, r.ID, out)
	case evalTable.name:
		err = exportCSV(l, evalTable, r.ID, out)
	case eventTable.name:
		err = exportCSV(l, eventTable, r.ID, out)
	default:
		return fmt.Errorf("there is no table %q: choose one of %s", table, strings.Join(Tables, ", "))
	}
	out.Flush()
	return errors.Join(err, out.Error())
}

func exportCSV[T any](l *Ledger, t table[T], run string, out *csv.Writer) error {
	line := make([]string, len(t.columns))
	for i, c := range t.columns {
		line[i] = c.name
	}
	if err := out.Write(line); err != nil {
		return err
	}
	return each(l, t, t.get(), []any{run}, func(row *T) error {
		for i, c := range t.columns {
			line[i] = toText(c.field(row))
		}
		return out.Write(line)
	})
}

// ExportJSONL writes all that the ledger has of a run, found as [Ledger.Run]
// does, one JSON object a line, for [Ledger.Import] or any other reader: the
// run, then its ranks, steps, evaluations and events, each with the name of its
// table. Nothing is lost but the coordinator's state.
func (l *Ledger) ExportJSONL(w io.Writer, run string) error {
	r, err := l.Run(run)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	if _, err := out.WriteString(formatLine + "\n"); err != nil {
		return err
	}
	for _, export := range []func() error{
		func() error { return writeJSONL(runTable, &r, out) },
		func() error { return exportJSONL(l, rankTable, r.ID, out) },
		func() error { return exportJSONL(l, stepTable, r.ID, out) },
		func() error { return exportJSONL(l, evalTable, r.ID, out) },
		func() error { return exportJSONL(l, eventTable, r.ID, out) },
	} {
		if err := export(); err != nil {
			return err
		}
	}
	return out.Flush()
}

func exportJSONL[T any](l *Ledger, t table[T], run string, out *bufio.Writer) error {
	return each(l, t, t.get(), []any{run}, func(row *T) error { return writeJSONL(t, row, out) })
}

func writeJSONL[T any](t table[T], row *T, out *bufio.Writer) error {
	line := fmt.Appendf(nil, `{"table":%q`, t.name)
	for _, c := range t.columns {
		value, err := toJSON(c.field(row))
		if err != nil {
			return err
		}
		line = append(fmt.Appendf(line, `,%q:`, c.name), value...)
	}
	_, err := out.Write(append(line, '}', '\n'))
	return err
}

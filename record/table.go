package record

import (
	"fmt"
	"strings"
)

// table maps a table of the schema to a Go struct.
type table[T any] struct {
	name    string
	key     int // the leading columns (after run) that name a row
	columns []column[T]
}

type column[T any] struct {
	name  string
	field func(*T) any // a pointer to the field
}

// names lists the columns, quoted for SQL.
func (t table[T]) names() string {
	all := make([]string, len(t.columns))
	for i, c := range t.columns {
		all[i] = `"` + c.name + `"`
	}
	return strings.Join(all, ", ")
}

// put inserts a run's row, or replaces the one of the same key.
func (t table[T]) put() string {
	return fmt.Sprintf("INSERT OR REPLACE INTO %s (run, %s) VALUES (?%s)", t.name, t.names(), strings.Repeat(", ?", len(t.columns)))
}

// get selects a run's rows in the order of their key.
func (t table[T]) get() string {
	order := make([]string, t.key)
	for i := range order {
		order[i] = t.columns[i].name
	}
	return fmt.Sprintf("SELECT %s FROM %s WHERE run = ? ORDER BY %s", t.names(), t.name, strings.Join(order, ", "))
}

// values are a row as arguments of a statement.
func (t table[T]) values(row *T) []any {
	all := make([]any, len(t.columns))
	for i, c := range t.columns {
		all[i] = toSQL(c.field(row))
	}
	return all
}

// targets are a row as the destination of a scan.
func (t table[T]) targets(row *T) []any {
	all := make([]any, len(t.columns))
	for i, c := range t.columns {
		all[i] = target{c.name, c.field(row)}
	}
	return all
}

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
	since int          // the schema version that it came with
}

// anyTable is a table, whatever struct its rows are.
type anyTable interface {
	title() string
	describe() []Column
	// visit yields a run's rows in the order of their key, as pointers to fields,
	// valid until the visitor returns.
	visit(l *Ledger, run string, visit func(fields []any) error) error
	// parse has every field filled and makes the write of the row. fill says
	// whether it has the column; one that came late may be missing.
	parse(run string, fill func(column string, field any) (bool, error)) (write, error)
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
	return fmt.Sprintf("SELECT %s FROM %s WHERE %s = ? ORDER BY %s", t.names(), t.name, t.owner(), strings.Join(order, ", "))
}

// owner is the column that says which run a row is of.
func (t table[T]) owner() string {
	if t.name == runTable.name {
		return "id"
	}
	return "run"
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

func (t table[T]) title() string { return t.name }

func (t table[T]) describe() []Column {
	all := make([]Column, len(t.columns))
	for i, c := range t.columns {
		all[i] = Column{c.name, typeOf(c.field(new(T)))}
	}
	return all
}

func (t table[T]) visit(l *Ledger, run string, visit func(fields []any) error) error {
	fields := make([]any, len(t.columns))
	return each(l, t, t.get(), []any{run}, func(row *T) error {
		for i, c := range t.columns {
			fields[i] = c.field(row)
		}
		return visit(fields)
	})
}

func (t table[T]) parse(run string, fill func(column string, field any) (bool, error)) (write, error) {
	row := new(T)
	for _, c := range t.columns {
		has, err := fill(c.name, c.field(row))
		switch {
		case err != nil:
			return write{}, fmt.Errorf("table %s: column %s: %w", t.name, c.name, err)
		case !has && c.since == 1:
			return write{}, fmt.Errorf("table %s: column %s is missing", t.name, c.name)
		}
	}
	if r, isRun := any(row).(*Run); isRun {
		return insertRun(*r), nil
	}
	return write{t.put(), append([]any{run}, t.values(row)...)}, nil
}

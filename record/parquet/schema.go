package parquet

import (
	"encoding/json"
	"math"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"

	"parallax/record"
)

// layout is a table's columns in the order in which a file has them.
type layout struct {
	schema  *parquet.Schema
	columns []record.Column
	from    []int // the place of each in the ledger's rows
}

func layoutOf(table string) (layout, error) {
	columns, err := record.Columns(table)
	if err != nil {
		return layout{}, err
	}
	group := parquet.Group{}
	for _, c := range columns {
		group[c.Name] = nodeOf(c.Type)
	}
	l := layout{schema: parquet.NewSchema(table, group)}
	for _, path := range l.schema.Columns() {
		i := slices.IndexFunc(columns, func(c record.Column) bool { return c.Name == path[0] })
		l.columns, l.from = append(l.columns, columns[i]), append(l.from, i)
	}
	return l, nil
}

func nodeOf(t record.Type) parquet.Node {
	switch t {
	case record.Integer:
		return parquet.Int(64)
	case record.Real:
		return parquet.Optional(parquet.Leaf(parquet.DoubleType))
	case record.Instant:
		return parquet.Optional(parquet.Timestamp(parquet.Nanosecond))
	case record.JSON:
		return parquet.Optional(parquet.JSON())
	default:
		return parquet.String()
	}
}

// pack makes a row of a file from one of the ledger.
func (l layout) pack(into parquet.Row, row []any) parquet.Row {
	into = into[:0]
	for i, from := range l.from {
		value := valueOf(row[from])
		present := 0
		if !value.IsNull() && optional(l.columns[i].Type) {
			present = 1
		}
		into = append(into, value.Level(0, present, i))
	}
	return into
}

func optional(t record.Type) bool {
	return t == record.Real || t == record.Instant || t == record.JSON
}

func valueOf(cell any) parquet.Value {
	switch x := cell.(type) {
	case int64:
		return parquet.Int64Value(x)
	case float64:
		if !math.IsNaN(x) {
			return parquet.DoubleValue(x)
		}
	case string:
		return parquet.ByteArrayValue([]byte(x))
	case time.Time:
		if !x.IsZero() {
			return parquet.Int64Value(x.UnixNano())
		}
	case json.RawMessage:
		if x != nil {
			return parquet.ByteArrayValue(x)
		}
	}
	return parquet.NullValue()
}

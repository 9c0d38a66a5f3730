package parquet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"parallax/record"
)

// maxFile bounds a file of an import, in bytes: some ten million steps.
const maxFile = 1 << 30

// Import reads the folder of a run that [Export] wrote into a ledger, and returns
// the run's id. A run that the ledger has already is refused, and so is a file with
// a column missing or unknown; then nothing is imported.
func Import(l *record.Ledger, folder string) (run string, err error) {
	var rows record.Importer
	for _, table := range record.AllTables {
		path := filepath.Join(folder, fileOf(table))
		err := importFile(&rows, table, path)
		if errors.Is(err, fs.ErrNotExist) && table != record.AllTables[0] {
			continue // a table that came later
		}
		if err != nil {
			return "", fmt.Errorf("import of %s: %w", path, err)
		}
	}
	return l.ImportRows(&rows)
}

func importFile(rows *record.Importer, table, path string) (err error) {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return err
	case info.Size() > maxFile:
		return fmt.Errorf("the file has %d bytes, the limit is %d", info.Size(), maxFile)
	}
	return readTable(rows, table, file, info.Size())
}

// readTable adds a file's rows.
func readTable(rows *record.Importer, table string, file io.ReaderAt, size int64) error {
	groups, err := readFooter(file, size)
	if err != nil {
		return err
	}
	columns, err := record.Columns(table)
	if err != nil {
		return err
	}
	unpack, err := newDecoder()
	if err != nil {
		return err
	}
	defer unpack.Close()
	text := freeText + textPerByte*size
	p := pages{file, unpack, &text}
	for _, g := range groups {
		if err := p.readGroup(rows, table, columns, g); err != nil {
			return err
		}
	}
	return nil
}

// readGroup reads the columns of a group and adds its rows. The importer refuses a
// row that lacks others than late columns.
func (p pages) readGroup(rows *record.Importer, table string, columns []record.Column, g group) error {
	cells := map[string][]any{}
	for _, k := range g.chunks {
		i := slices.IndexFunc(columns, func(c record.Column) bool { return c.Name == k.column })
		if _, twice := cells[k.column]; i < 0 || twice {
			return fmt.Errorf("table %s: column %.40q is unknown", table, k.column)
		}
		t := columns[i].Type
		if k.kind != kindOf(t) {
			return fmt.Errorf("table %s: column %s holds values of type %d", table, k.column, k.kind)
		}
		all := []any{}
		err := p.read(k, optional(t), func(v any) error {
			all = append(all, cellOf(t, v))
			return nil
		})
		if err != nil {
			return fmt.Errorf("table %s: column %s: %w", table, k.column, err)
		}
		cells[k.column] = all
	}
	if len(cells) == 0 && g.rows > 0 {
		return errDamaged
	}
	row := map[string]any{}
	for i := range g.rows {
		for column, all := range cells {
			row[column] = all[i]
		}
		if err := rows.Add(table, row); err != nil {
			return err
		}
	}
	return nil
}

// kindOf is the type that a column's values have in a file.
func kindOf(t record.Type) int64 {
	switch t {
	case record.Integer, record.Instant:
		return typeInt64
	case record.Real:
		return typeDouble
	default:
		return typeByteArray
	}
}

// cellOf is a value of a file as the importer takes it.
func cellOf(t record.Type, v any) any {
	text, _ := v.(string)
	switch {
	case t == record.Instant && v == nil:
		return time.Time{}
	case t == record.Instant:
		return time.Unix(0, v.(int64)).UTC()
	case t == record.Real && v == nil:
		return math.NaN()
	case t == record.JSON && v == nil:
		return json.RawMessage(nil)
	case t == record.JSON:
		return json.RawMessage(text)
	}
	return v
}

package parquet

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/parquet-go/parquet-go"

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

// readTable adds a file's rows. The library panics over some damaged files, which
// is told as an error.
func readTable(rows *record.Importer, table string, file io.ReaderAt, size int64) (err error) {
	defer func() {
		if broken := recover(); broken != nil {
			err = fmt.Errorf("the file is damaged: %v", broken)
		}
	}()
	f, err := parquet.OpenFile(file, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return err
	}
	layout, err := layoutIn(f, table)
	if err != nil {
		return err
	}
	for _, group := range f.RowGroups() {
		if err := layout.readGroup(rows, table, group); err != nil {
			return err
		}
	}
	return nil
}

// layoutIn is the table's layout, as far as the file has its columns; the importer
// refuses a row that lacks others than late ones.
func layoutIn(f *parquet.File, table string) (layout, error) {
	whole, err := layoutOf(table)
	if err != nil {
		return layout{}, err
	}
	var l layout
	for _, path := range f.Schema().Columns() {
		i := -1
		for j, c := range whole.columns {
			if len(path) == 1 && c.Name == path[0] {
				i = j
			}
		}
		if i < 0 {
			return layout{}, fmt.Errorf("table %s: column %.40q is unknown", table, path)
		}
		has, _ := f.Schema().Lookup(path...)
		want, _ := whole.schema.Lookup(path...)
		if has.Node.Type().Kind() != want.Node.Type().Kind() || has.Node.Optional() != want.Node.Optional() {
			return layout{}, fmt.Errorf("table %s: column %s holds %s", table, path[0], has.Node.Type())
		}
		l.columns = append(l.columns, whole.columns[i])
	}
	return l, nil
}

func (l layout) readGroup(rows *record.Importer, table string, group parquet.RowGroup) (err error) {
	reader := group.Rows()
	defer func() { err = errors.Join(err, reader.Close()) }()
	batch := make([]parquet.Row, 256)
	for {
		n, err := reader.ReadRows(batch)
		for _, row := range batch[:n] {
			cells, err := l.unpack(row)
			if err == nil {
				err = rows.Add(table, cells)
			}
			if err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

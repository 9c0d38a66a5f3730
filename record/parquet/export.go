package parquet

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/parquet-go/parquet-go"

	"parallax/record"
)

// Export writes all that the ledger has of a run, found as [record.Ledger.Run]
// does, into a folder of its name under dir, and returns the folder. An export of
// the same run there is replaced. Nothing is lost but the coordinator's state.
func Export(l *record.Ledger, run, dir string) (folder string, err error) {
	r, err := l.Run(run)
	if err != nil {
		return "", err
	}
	folder = filepath.Join(dir, r.ID)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fmt.Errorf("the export needs a folder: %w", err)
	}
	for _, table := range record.AllTables {
		if err := exportTable(l, r.ID, table, filepath.Join(folder, fileOf(table))); err != nil {
			return folder, fmt.Errorf("export of run %s: %w", r.ID, err)
		}
	}
	return folder, nil
}

func fileOf(table string) string { return table + ".parquet" }

func exportTable(l *record.Ledger, run, table, path string) (err error) {
	layout, err := layoutOf(table)
	if err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	out := parquet.NewWriter(file, layout.schema, parquet.Compression(&parquet.Zstd), parquet.CreatedBy("parallax", "1", ""))
	row := make(parquet.Row, 0, len(layout.columns))
	err = l.ReadTable(run, table, func(cells []any) error {
		row = layout.pack(row, cells)
		_, err := out.WriteRows([]parquet.Row{row})
		return err
	})
	return errors.Join(err, out.Close())
}

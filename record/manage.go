package record

import "fmt"

// RenameRun gives a run another name, "" for none.
func (l *Ledger) RenameRun(id, name string) error {
	return l.changeRun(id, write{"UPDATE runs SET name = ? WHERE id = ?", []any{toSQL(&name), id}})
}

// RemoveRun forgets a run and all that was recorded of it. Its files stay.
func (l *Ledger) RemoveRun(id string) error {
	if err := l.changeRun(id, write{"DELETE FROM runs WHERE id = ?", []any{id}}); err != nil {
		return err
	}
	if err := l.writeAll([]write{{"DELETE FROM state WHERE run = ?", []any{id}}}); err != nil {
		return fmt.Errorf("ledger %s: run %s: %w", l.path, id, err)
	}
	return nil
}

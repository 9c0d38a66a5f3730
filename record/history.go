package record

import (
	"errors"
	"fmt"
)

// A coordinator keeps its newest events in memory, and older ones here while it
// lives, encoded as it likes. They are not part of a run's record: the other tables
// have what is worth keeping.

// AppendHistory queues an event under a key that is the coordinator's own.
func (l *Ledger) AppendHistory(key string, sequence int64, event []byte) error {
	return l.enqueue(write{"INSERT OR REPLACE INTO history (key, sequence, event) VALUES (?, ?, ?)", []any{key, sequence, event}})
}

// History returns at most so many events behind a sequence number, in order.
func (l *Ledger) History(key string, after int64, most int) (events [][]byte, err error) {
	if err := l.Flush(); err != nil {
		return nil, err
	}
	rows, err := l.db.Query("SELECT event FROM history WHERE key = ? AND sequence > ? ORDER BY sequence LIMIT ?", key, after, most)
	if err != nil {
		return nil, fmt.Errorf("ledger %s: %w", l.path, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var event []byte
		if err := rows.Scan(&event); err != nil {
			return nil, fmt.Errorf("ledger %s: table history: %w", l.path, err)
		}
		events = append(events, event)
	}
	return events, rows.Err()
}

// ClearHistory forgets all events of a key.
func (l *Ledger) ClearHistory(key string) error {
	if err := l.enqueue(write{"DELETE FROM history WHERE key = ?", []any{key}}); err != nil {
		return err
	}
	return l.Flush()
}

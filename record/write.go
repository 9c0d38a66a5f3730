package record

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// write is one statement.
type write struct {
	text string
	args []any
}

// flushDelay is how long a queued write waits for company.
const flushDelay = 200 * time.Millisecond

// AppendStep queues a step; it is on disk within a second, or after [Ledger.Flush].
// The error, here as in the other Append methods, is that of an earlier write:
// once one has failed, nothing more is written.
func (l *Ledger) AppendStep(run string, s Step) error { return queue(l, stepTable, run, s) }

// AppendEval queues an evaluation.
func (l *Ledger) AppendEval(run string, e Eval) error { return queue(l, evalTable, run, e) }

// AppendRank queues who has a rank in a generation.
func (l *Ledger) AppendRank(run string, r Rank) error { return queue(l, rankTable, run, r) }

// AppendLayer queues a look into a layer.
func (l *Ledger) AppendLayer(run string, d Layer) error { return queue(l, layerTable, run, d) }

// AppendRate queues how fast a rank and its link were.
func (l *Ledger) AppendRate(run string, r Rate) error { return queue(l, rateTable, run, r) }

// AppendEvent queues an event.
func (l *Ledger) AppendEvent(run string, e Event) error {
	if e.Payload != nil {
		var compact bytes.Buffer
		if err := json.Compact(&compact, e.Payload); err != nil {
			return fmt.Errorf("ledger %s: event %d of run %s: the payload is no JSON: %w", l.path, e.Sequence, run, err)
		}
		e.Payload = compact.Bytes()
	}
	return queue(l, eventTable, run, e)
}

func queue[T any](l *Ledger, t table[T], run string, row T) error {
	return l.enqueue(write{t.put(), append([]any{run}, t.values(&row)...)})
}

func (l *Ledger) enqueue(w write) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return fmt.Errorf("ledger %s: it is closed", l.path)
	}
	if l.failed != nil {
		return l.failed
	}
	l.pending = append(l.pending, w)
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return nil
}

// flusher writes what is pending, a little after it was queued.
func (l *Ledger) flusher() {
	defer close(l.done)
	for {
		select {
		case <-l.wake:
		case <-l.closing:
			return
		}
		select {
		case <-time.After(flushDelay):
			l.Flush() // a failure is kept, and told to the next who writes
		case <-l.closing:
			return
		}
	}
}

// Flush writes everything queued so far.
func (l *Ledger) Flush() error {
	l.flushing.Lock()
	defer l.flushing.Unlock()
	l.mu.Lock()
	batch, failed := l.pending, l.failed
	l.pending = nil
	l.mu.Unlock()
	if failed != nil || len(batch) == 0 {
		return failed
	}
	if err := l.writeAll(batch); err != nil {
		err = fmt.Errorf("ledger %s: writing failed, the record ends here: %w", l.path, err)
		l.mu.Lock()
		l.failed = err
		l.mu.Unlock()
		return err
	}
	return nil
}

// writeAll writes a batch completely or not at all.
func (l *Ledger) writeAll(batch []write) error {
	tx, err := l.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback() // without effect after the commit
	for _, w := range batch {
		if _, err := tx.Exec(w.text, w.args...); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// StartRun records a run that begins; it needs an ID that is new, see
// [NewRunID]. The run is on disk when StartRun returns.
func (l *Ledger) StartRun(r Run) error {
	if r.ID == "" {
		return fmt.Errorf("ledger %s: a run needs an id", l.path)
	}
	if err := l.Flush(); err != nil {
		return err
	}
	if err := l.writeAll([]write{insertRun(r)}); err != nil {
		return fmt.Errorf("ledger %s: cannot record the start of run %s: %w", l.path, r.ID, err)
	}
	return nil
}

func insertRun(r Run) write {
	places := bytes.Repeat([]byte(", ?"), len(runTable.columns))[2:]
	return write{fmt.Sprintf("INSERT INTO runs (%s) VALUES (%s)", runTable.names(), places), runTable.values(&r)}
}

// UpdateRun replaces all that is recorded of a run itself, when more is known of
// it or when it goes on; its steps and events stay.
func (l *Ledger) UpdateRun(r Run) error {
	var set []byte
	for _, c := range runTable.columns {
		set = fmt.Appendf(set, `, "%s" = ?`, c.name)
	}
	return l.changeRun(r.ID, write{fmt.Sprintf("UPDATE runs SET %s WHERE id = ?", set[2:]), append(runTable.values(&r), r.ID)})
}

// FinishRun records how a run ended.
func (l *Ledger) FinishRun(id string, status Status, exitCode int, reason string, at time.Time) error {
	return l.changeRun(id, write{
		"UPDATE runs SET status = ?, exit_code = ?, reason = ?, finished = ? WHERE id = ?",
		[]any{string(status), exitCode, toSQL(&reason), toSQL(&at), id},
	})
}

// changeRun makes a change that must meet one run.
func (l *Ledger) changeRun(id string, w write) error {
	if err := l.Flush(); err != nil {
		return err
	}
	result, err := l.db.Exec(w.text, w.args...)
	if err != nil {
		return fmt.Errorf("ledger %s: run %s: %w", l.path, id, err)
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errors.Join(fmt.Errorf("ledger %s: %w %s", l.path, ErrNoRun, id), err)
	}
	return nil
}

// SaveState keeps a value under a key, for a run or, with run "", for the
// coordinator as a whole. It is on disk when SaveState returns, with everything
// queued before it.
func (l *Ledger) SaveState(run, key string, value []byte) error {
	if err := l.enqueue(write{"INSERT OR REPLACE INTO state (run, key, value) VALUES (?, ?, ?)", []any{run, key, append([]byte{}, value...)}}); err != nil {
		return err
	}
	return l.Flush()
}

// LoadState returns what [Ledger.SaveState] kept, and whether there is such a key.
func (l *Ledger) LoadState(run, key string) (value []byte, found bool, err error) {
	if err := l.Flush(); err != nil {
		return nil, false, err
	}
	err = l.db.QueryRow("SELECT value FROM state WHERE run = ? AND key = ?", run, key).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	return value, err == nil, err
}

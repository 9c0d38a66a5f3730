package record

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver, in Go
)

// Ledger is an open ledger. Its methods may be called from several goroutines.
type Ledger struct {
	path string
	db   *sql.DB

	mu      sync.Mutex // guards what follows
	pending []write
	failed  error // of the first write that failed; nothing is written after it
	closed  bool

	flushing sync.Mutex    // held while pending is written, so that batches keep their order
	wake     chan struct{} // capacity 1: something is pending
	closing  chan struct{} // closed by Close
	done     chan struct{} // closed when the flusher has ended
}

// busyTimeout is how long a write waits for another process that writes.
const busyTimeout = 10 * time.Second

// Open opens the ledger at path, and creates it if there is no such file. A file
// that is damaged, of another program or of a later version is refused and left
// as it is. The folder must exist.
func Open(path string) (*Ledger, error) {
	l, err := open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot open the ledger %s: %w", path, err)
	}
	return l, nil
}

// OpenExisting is [Open] for those who only read: it creates nothing.
func OpenExisting(path string) (*Ledger, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("cannot open the ledger: %w", err)
	}
	return Open(path)
}

func open(path string) (*Ledger, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Dir(abs)); err != nil {
		return nil, err
	}
	version, err := inspect(abs)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", dataSource(abs, url.Values{"_txlock": {"immediate"}, "_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()), "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
	}}))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(4)
	if version < len(migrations) {
		err = migrate(db)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	l := &Ledger{path: path, db: db, wake: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{})}
	go l.flusher()
	return l, nil
}

// dataSource names the file to the driver, with what every connection is set to.
func dataSource(path string, settings url.Values) string {
	return (&url.URL{Scheme: "file", Path: path, RawQuery: settings.Encode()}).String()
}

// errAbandoned is what writing to a ledger ends with that was abandoned.
var errAbandoned = errors.New("the ledger was abandoned")

// Abandon closes the file without writing what is queued, as the end of the process
// would: for simulations of a crash.
func (l *Ledger) Abandon() error {
	l.flushing.Lock() // a batch is written completely or not at all
	l.mu.Lock()
	closed := l.closed
	l.closed, l.pending, l.failed = true, nil, errAbandoned
	l.mu.Unlock()
	l.flushing.Unlock()
	if closed {
		return nil
	}
	close(l.closing)
	<-l.done
	return l.db.Close()
}

// Close writes what is queued and closes the file. It returns the first error
// that any write had.
func (l *Ledger) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	close(l.closing)
	<-l.done
	return errors.Join(l.Flush(), l.db.Close())
}

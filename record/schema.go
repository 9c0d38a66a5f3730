package record

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
)

// applicationID marks the file as a ledger, in SQLite's header: "PLXR".
const applicationID = 0x504c5852

// migrations[i] takes a file from schema version i to i+1. An entry never
// changes once it was released; a new version is a new entry.
var migrations = []string{`
CREATE TABLE runs (
	id TEXT PRIMARY KEY, name TEXT NOT NULL, dir TEXT NOT NULL, spec TEXT NOT NULL, spec_hash TEXT NOT NULL,
	"commit" TEXT NOT NULL, versions TEXT NOT NULL, host TEXT NOT NULL,
	started INTEGER NOT NULL, finished INTEGER NOT NULL, status TEXT NOT NULL, exit_code INTEGER NOT NULL, reason TEXT NOT NULL,
	parameters INTEGER NOT NULL, flops_per_token REAL, flops_per_token_6n REAL, data_summary TEXT NOT NULL, data_digest TEXT NOT NULL
) STRICT;
CREATE TABLE ranks (
	run TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
	generation INTEGER NOT NULL, rank INTEGER NOT NULL,
	node TEXT NOT NULL, host TEXT NOT NULL, device TEXT NOT NULL, slots INTEGER NOT NULL,
	PRIMARY KEY (run, generation, rank)
) STRICT, WITHOUT ROWID;
CREATE TABLE steps (
	run TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
	step INTEGER NOT NULL, generation INTEGER NOT NULL, world INTEGER NOT NULL,
	loss REAL, grad_norm REAL, lr REAL, tokens INTEGER NOT NULL, flops REAL, flops_6n REAL,
	seconds REAL, compute REAL, reduce REAL, wait REAL, "update" REAL,
	tokens_per_second REAL, flops_per_second REAL, wire_bytes INTEGER NOT NULL, time INTEGER NOT NULL,
	PRIMARY KEY (run, step)
) STRICT, WITHOUT ROWID;
CREATE TABLE evals (
	run TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
	step INTEGER NOT NULL, generation INTEGER NOT NULL, loss REAL, tokens INTEGER NOT NULL, seconds REAL, time INTEGER NOT NULL,
	PRIMARY KEY (run, step)
) STRICT, WITHOUT ROWID;
CREATE TABLE events (
	run TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
	sequence INTEGER NOT NULL, time INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL, payload TEXT NOT NULL,
	PRIMARY KEY (run, sequence)
) STRICT, WITHOUT ROWID;
CREATE TABLE state (
	run TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
	PRIMARY KEY (run, key)
) STRICT, WITHOUT ROWID;
`, `
CREATE TABLE layers (
	run TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
	step INTEGER NOT NULL, layer INTEGER NOT NULL, generation INTEGER NOT NULL,
	correction REAL, rank_q REAL, rank_r REAL, rank_k REAL, entropy REAL, first_token REAL, time INTEGER NOT NULL,
	PRIMARY KEY (run, step, layer)
) STRICT, WITHOUT ROWID;
ALTER TABLE ranks ADD COLUMN hardware TEXT NOT NULL DEFAULT '';
ALTER TABLE ranks ADD COLUMN peak REAL DEFAULT 0;
`, `
CREATE TABLE history (
	key TEXT NOT NULL, sequence INTEGER NOT NULL, event BLOB NOT NULL,
	PRIMARY KEY (key, sequence)
) STRICT, WITHOUT ROWID;
`, `
CREATE TABLE rates (
	run TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
	step INTEGER NOT NULL, rank INTEGER NOT NULL, generation INTEGER NOT NULL, steps INTEGER NOT NULL,
	tokens_per_second REAL, link_bytes REAL, send REAL, receive REAL, time INTEGER NOT NULL,
	PRIMARY KEY (run, step, rank)
) STRICT, WITHOUT ROWID;
`}

// inspect refuses what is no sound ledger of a known version, without changing
// it, and returns the schema version; 0 for a file that is empty or not there.
func inspect(path string) (version int, err error) {
	if info, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return 0, nil
	}
	db, err := sql.Open("sqlite", dataSource(path, url.Values{"mode": {"ro"}}))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var application, tables int
	var sound string
	for _, q := range []struct {
		text string
		into any
	}{
		{"PRAGMA application_id", &application},
		{"PRAGMA user_version", &version},
		{"SELECT count(*) FROM sqlite_schema", &tables},
		{"PRAGMA quick_check(1)", &sound},
	} {
		if err := db.QueryRow(q.text).Scan(q.into); err != nil {
			return 0, err
		}
	}
	return version, judge(application, version, tables, sound)
}

func judge(application, version, tables int, sound string) error {
	switch {
	case sound != "ok":
		return fmt.Errorf("the file is damaged: %s", sound)
	case application != applicationID && (application != 0 || tables > 0):
		return errors.New("the file is a database of another program")
	case version > len(migrations):
		return fmt.Errorf("the file has schema version %d, and this program knows up to %d: use the program that wrote it", version, len(migrations))
	case version < 0:
		return fmt.Errorf("the file is damaged: schema version %d", version)
	}
	return nil
}

// migrate brings a file up to date. Of two processes that try, the second finds
// it done.
func migrate(db *sql.DB) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback() // without effect after the commit
	var version int
	if err := tx.QueryRow("PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	for ; version < len(migrations); version++ {
		if _, err := tx.Exec(migrations[version]); err != nil {
			return fmt.Errorf("bringing the schema to version %d: %w", version+1, err)
		}
	}
	_, err = tx.Exec(fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, version))
	if err != nil {
		return err
	}
	return tx.Commit()
}

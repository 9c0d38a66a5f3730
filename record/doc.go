// Package record keeps the ledger: one SQLite file that says what ran, on what,
// step by step, and how it ended.
//
// A [Ledger] has a table of runs and, for each run, its ranks, steps,
// evaluations, layers and events; and a table of state, in which a coordinator keeps
// what it must know after a crash. A run's rows carry everything needed to judge
// and repeat it: specification, commit, versions, hosts and devices, FLOPs in
// two conventions.
//
// # Writing
//
// Steps, evaluations, ranks, layers and events are queued, so that a training step does
// not wait for a disk, and written together a fraction of a second later, see
// [Ledger.AppendStep]. Runs and state are on disk when the call returns, and
// everything queued before them too. What was recorded once and is recorded
// again, because a step was computed again, is replaced.
//
// The file is in WAL mode: others may read it while it is written, with this
// package or with any SQLite tool.
//
// # Reading and moving
//
// read.go for queries, export.go for CSV and JSON lines, import.go for the way
// back, which loses nothing. schema.go holds the tables; columns.go maps them to
// Go structs, once for SQL, CSV and JSON alike.
package record

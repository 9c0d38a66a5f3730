package record

import (
	"errors"
	"fmt"
	"strings"
)

// ErrNoRun is wrapped by the errors about a run that is not in the ledger.
var ErrNoRun = errors.New("there is no run")

// Runs lists all runs, the newest first.
func (l *Ledger) Runs() ([]Run, error) {
	return collect(l, runTable, fmt.Sprintf("SELECT %s FROM runs ORDER BY started DESC, id DESC", runTable.names()))
}

// Run finds a run by its id, by the beginning of its id, or by its name, in this
// order; with "" it is the newest. When a beginning or a name fits several, the
// error lists them.
func (l *Ledger) Run(ref string) (Run, error) {
	runs, err := l.Runs()
	if err != nil {
		return Run{}, err
	}
	for _, fits := range []func(Run) bool{
		func(r Run) bool { return r.ID == ref },
		func(r Run) bool { return strings.HasPrefix(r.ID, ref) },
		func(r Run) bool { return r.Name == ref },
	} {
		found := filter(runs, fits)
		switch {
		case len(found) == 1, len(found) > 1 && ref == "":
			return found[0], nil
		case len(found) > 1:
			return Run{}, fmt.Errorf("ledger %s: %q fits several runs: %s", l.path, ref, ids(found))
		}
	}
	if len(runs) == 0 {
		return Run{}, fmt.Errorf("ledger %s: %w %q: it is empty", l.path, ErrNoRun, ref)
	}
	return Run{}, fmt.Errorf("ledger %s: %w %q; the newest are %s", l.path, ErrNoRun, ref, ids(runs))
}

func filter(runs []Run, fits func(Run) bool) []Run {
	var found []Run
	for _, r := range runs {
		if fits(r) {
			found = append(found, r)
		}
	}
	return found
}

// ids lists the first few runs.
func ids(runs []Run) string {
	const most = 5
	var all []string
	for _, r := range runs[:min(most, len(runs))] {
		all = append(all, r.ID)
	}
	if len(runs) > most {
		all = append(all, "...")
	}
	return strings.Join(all, ", ")
}

// Ranks lists who had which rank, by generation.
func (l *Ledger) Ranks(run string) ([]Rank, error) {
	return collect(l, rankTable, rankTable.get(), run)
}

// Steps lists a run's steps in order.
func (l *Ledger) Steps(run string) ([]Step, error) {
	return collect(l, stepTable, stepTable.get(), run)
}

// EachStep visits a run's steps in order, without holding them all.
func (l *Ledger) EachStep(run string, visit func(Step)) error {
	return each(l, stepTable, stepTable.get(), []any{run}, func(row *Step) error {
		visit(*row)
		return nil
	})
}

// Evals lists a run's evaluations in order.
func (l *Ledger) Evals(run string) ([]Eval, error) {
	return collect(l, evalTable, evalTable.get(), run)
}

// Layers lists the looks into a run's layers, step by step.
func (l *Ledger) Layers(run string) ([]Layer, error) {
	return collect(l, layerTable, layerTable.get(), run)
}

// Rates lists how fast a run's ranks and links were, step by step.
func (l *Ledger) Rates(run string) ([]Rate, error) {
	return collect(l, rateTable, rateTable.get(), run)
}

// Events lists a run's events in order.
func (l *Ledger) Events(run string) ([]Event, error) {
	return collect(l, eventTable, eventTable.get(), run)
}

func collect[T any](l *Ledger, t table[T], query string, args ...any) ([]T, error) {
	var all []T
	err := each(l, t, query, args, func(row *T) error {
		all = append(all, *row)
		return nil
	})
	return all, err
}

// each visits the rows of a query for t's columns, queued ones included. The
// row is valid until visit returns.
func each[T any](l *Ledger, t table[T], query string, args []any, visit func(*T) error) (err error) {
	if err := l.Flush(); err != nil {
		return err
	}
	rows, err := l.db.Query(query, args...)
	if err != nil {
		return fmt.Errorf("ledger %s: %w", l.path, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var row T
		if err := rows.Scan(t.targets(&row)...); err != nil {
			return fmt.Errorf("ledger %s: table %s: %w", l.path, t.name, err)
		}
		if err := visit(&row); err != nil {
			return err
		}
	}
	return rows.Err()
}

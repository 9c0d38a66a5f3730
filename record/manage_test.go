package record

import (
	"errors"
	"testing"
)

func TestRenameRun(t *testing.T) {
	l := openNew(t)
	must(t, l.StartRun(testRun("a")))
	must(t, l.RenameRun("a", "baseline"))
	r, err := l.Run("baseline")
	if r.ID != "a" || err != nil {
		t.Errorf("got %q, %v", r.ID, err)
	}
	if err := l.RenameRun("b", "x"); !errors.Is(err, ErrNoRun) {
		t.Errorf("got %v", err)
	}
}

func TestRemoveRunTakesEverythingOfItAlone(t *testing.T) {
	l := openNew(t)
	for _, id := range []string{"a", "b"} {
		fill(t, l, id)
		must(t, l.SaveState(id, "key", []byte("value")))
	}
	must(t, l.RemoveRun("a"))
	for _, table := range []string{"ranks", "steps", "evals", "events", "state"} {
		var ofA, ofB int
		must(t, l.db.QueryRow("SELECT count(*) FILTER (WHERE run = 'a'), count(*) FILTER (WHERE run = 'b') FROM "+table).Scan(&ofA, &ofB))
		if ofA != 0 || ofB == 0 {
			t.Errorf("table %s has %d rows of the removed run, %d of the other", table, ofA, ofB)
		}
	}
	if err := l.RemoveRun("a"); !errors.Is(err, ErrNoRun) {
		t.Errorf("got %v", err)
	}
	if runs, err := l.Runs(); len(runs) != 1 || err != nil {
		t.Errorf("%d runs are left, %v", len(runs), err)
	}
}

func TestEachStep(t *testing.T) {
	l := openNew(t)
	must(t, l.StartRun(testRun("a")))
	for n := range int64(3) {
		must(t, l.AppendStep("a", testStep(n)))
	}
	var seen []int64
	must(t, l.EachStep("a", func(s Step) { seen = append(seen, s.Step) }))
	if len(seen) != 3 || seen[0] != 0 || seen[2] != 2 {
		t.Errorf("saw %v", seen)
	}
}

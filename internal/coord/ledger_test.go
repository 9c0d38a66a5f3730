package coord

import (
	"path/filepath"
	"testing"

	"parallax/record"
)

func openLedger(t *testing.T) *record.Ledger {
	t.Helper()
	ledger, err := record.Open(filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ledger.Close() })
	return ledger
}

// keep makes a coordinator write into a ledger.
func keep(ledger *record.Ledger) func() (*record.Ledger, error) {
	return func() (*record.Ledger, error) { return ledger, nil }
}

// TestRecordOfAResumedRun stops a run after one of two steps and resumes it: one
// run in the ledger, all steps, and the events of both parts. Resumed once more, and
// stopped before a node has come, it is as complete as before.
func TestRecordOfAResumedRun(t *testing.T) {
	o := options(t, 2)
	ledger := openLedger(t)
	o.Ledger, o.Version = keep(ledger), "v1"
	c, nodes := cluster(t, o)
	for _, n := range nodes {
		n.step(1, 2)
	}
	c.Stop("enough", ExitDone)
	for _, n := range nodes {
		n.hear()
	}
	nodes[0].saved(1)
	for _, n := range nodes {
		n.leave(false, "stopped", 1)
	}
	c.Wait()
	first := lastRun(t, ledger)
	if first.Status != record.Stopped || first.Name != "test" || first.Parameters != 10 || first.FLOPsPerToken6N != 61 || first.Commit != "v1" {
		t.Errorf("recorded %+v", first)
	}

	o.Run.Name, o.Run.Resume = "", true
	c, nodes = cluster(t, o)
	for step := int64(1); step <= 2; step++ {
		for _, n := range nodes {
			n.step(step, 2/float64(step))
		}
	}
	for _, n := range nodes {
		n.leave(true, "", 2)
	}
	c.Wait()
	second := lastRun(t, ledger)
	if second.ID != first.ID || second.Name != "test" || !second.Started.Equal(first.Started) || second.Status != record.Done {
		t.Errorf("recorded %+v", second)
	}
	checkRecord(t, ledger, second.ID)

	c, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	c.Stop("nobody comes", ExitDone)
	c.Wait()
	if third := lastRun(t, ledger); third != second {
		t.Errorf("complete before, then recorded %+v", third)
	}
}

func lastRun(t *testing.T, ledger *record.Ledger) record.Run {
	t.Helper()
	runs, err := ledger.Runs()
	if err != nil || len(runs) != 1 {
		t.Fatalf("got %d runs, %v; want 1", len(runs), err)
	}
	return runs[0]
}

func checkRecord(t *testing.T, ledger *record.Ledger, id string) {
	t.Helper()
	steps, err := ledger.Steps(id)
	if err != nil || len(steps) != 2 || steps[1].Loss != 1 || steps[1].FLOPs != 6000 || steps[1].World != 2 {
		t.Errorf("steps %+v, %v", steps, err)
	}
	ranks, err := ledger.Ranks(id)
	if err != nil || len(ranks) != 2 || ranks[1].Node != "node-1" || ranks[1].Slots != 2 {
		t.Errorf("ranks %+v, %v", ranks, err)
	}
	events, err := ledger.Events(id)
	var kinds string
	for _, e := range events {
		kinds += e.Kind + " "
	}
	if want := "started view notice checkpoint done started view done "; err != nil || kinds != want {
		t.Errorf("events %s, %v; want %s", kinds, err, want)
	}
}

func TestLedgerThatFailsDoesNotEndTheRun(t *testing.T) {
	o := options(t, 1)
	ledger := openLedger(t)
	o.Ledger = keep(ledger)
	c := begin(t, o)
	n := attach(t, c, hello("node-0"))
	ledger.Close()
	n.ready()
	n.hear()
	n.step(1, 2)
	n.step(2, 1)
	n.leave(true, "", 2)
	if got := c.Wait(); got.Code != ExitDone {
		t.Errorf("got %+v", got)
	}
	if got := happened(c); got != "started notice view step step done" {
		t.Errorf("events: %s", got)
	}
}

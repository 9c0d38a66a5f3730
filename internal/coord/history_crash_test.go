package coord

import (
	"context"
	"strings"
	"testing"

	"parallax/record"
)

// kindsOnRecord lists the kinds of the events that the ledger has of its only run.
func kindsOnRecord(t *testing.T, ledger *record.Ledger) (kinds string) {
	t.Helper()
	events, err := ledger.Events(lastRun(t, ledger).ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		kinds += e.Kind + " "
	}
	return kinds
}

// heardOnReturn is what a new follower hears up to the news that a coordinator is back.
func heardOnReturn(c *Coordinator) string {
	var kinds []string
	for e := range c.Events(context.Background(), 0) {
		kinds = append(kinds, kindOf(e))
		if e.GetNotice() != nil {
			break
		}
	}
	return strings.Join(kinds, " ")
}

// wantOnReturn starts a coordinator again, wants a follower to hear these kinds of events
// and the record to have one start and one view, and ends it.
func wantOnReturn(t *testing.T, o Options, ledger *record.Ledger, want string) *Coordinator {
	t.Helper()
	c := begin(t, o)
	if got := heardOnReturn(c); got != want {
		t.Errorf("a follower hears %s, want %s", got, want)
	}
	c.Kill("enough")
	c.Wait()
	if got, want := kindsOnRecord(t, ledger), "started view notice done "; got != want {
		t.Errorf("recorded %s, want %s", got, want)
	}
	return c
}

// TestCrashIsNoStart: a coordinator that comes back says nothing of a start. Who follows
// it from the first event on still hears of the one that there was.
func TestCrashIsNoStart(t *testing.T) {
	o := options(t, 2)
	ledger := openLedger(t)
	o.Ledger = keep(ledger)
	c, nodes := cluster(t, o)
	for _, n := range nodes {
		n.step(1, 2)
	}
	await(c, 3)
	c.Crash()
	c.Wait()

	c = wantOnReturn(t, o, ledger, "started view step notice")
	if got := c.recorder.rates.generation; got != 1 {
		t.Errorf("rates are recorded of generation %d, want 1", got)
	}
}

// TestCrashBeforeTheViewIsTold comes between the state with a view and its event.
func TestCrashBeforeTheViewIsTold(t *testing.T) {
	o := options(t, 1)
	ledger := openLedger(t)
	o.Ledger = keep(ledger)
	atView, crash := make(chan struct{}), make(chan struct{})
	o.Observe = func(d Decision) {
		if p, published := d.(Publish); published && p.Event.GetView() != nil {
			close(atView)
			<-crash
		}
	}
	c := begin(t, o)
	attach(t, c, hello("node-0")).ready()
	<-atView
	c.Crash()
	close(crash)
	c.Wait()

	o.Observe = nil
	wantOnReturn(t, o, ledger, "started view notice")
}

package web

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	pb "parallax/proto/parallax/v1"
	"parallax/record"
)

func TestStateOfARunUnderWay(t *testing.T) {
	run := newFeed()
	s, url := serve(t, Options{Run: run})
	run.add(notice("c", "c: tokenising 41 of 72 MB", false), started(), view(), step(1), step(2), eval(2), notice("a", "a is late", true))
	s.await(t, 7)
	code, body := get(t, url+"/api/state")
	var state struct {
		Cursor string
		Live   bool
		Latest []struct{ Event, Text, Reason string }
		Nodes  []struct{ Node, Text string }
		Events []struct {
			Event, Text string
			Sequence    int
		}
		Series struct {
			Step, Tokens, Seconds, Loss, Tokens_per_s, Ring []float64
		}
		Evals struct{ Step, Loss []float64 }
	}
	must(t, json.Unmarshal([]byte(body), &state))
	if code != 200 || !state.Live || state.Cursor != s.cursor(7) {
		t.Errorf("%d, live %v, cursor %q", code, state.Live, state.Cursor)
	}
	if fmt.Sprint(state.Series) != "{[1 2] [1000 2000] [0.5 1] [4.999 4.998] [2000 2000] [0.125 0.125]}" {
		t.Errorf("series %v", state.Series)
	}
	if fmt.Sprint(state.Evals) != "{[2] [4.5]}" {
		t.Errorf("evaluations %v", state.Evals)
	}
	if len(state.Nodes) != 2 || state.Nodes[0].Text != "c: tokenising 41 of 72 MB" || state.Nodes[1].Node != "a" {
		t.Errorf("nodes %v", state.Nodes)
	}
	if len(state.Latest) != 4 || state.Latest[1].Reason != "generation 3: 2 of 2 nodes are ready" {
		t.Errorf("latest %v", state.Latest)
	}
	if len(state.Events) != 5 || state.Events[4].Text != "warning: a is late" || state.Events[4].Sequence != 7 {
		t.Errorf("events %v", state.Events)
	}
}

// Of a node that is a member no more, the page says why; of one that has become
// a member, nothing that was told before.
func TestNodesOfAnEarlierView(t *testing.T) {
	s := newStatus(nil)
	without := view()
	without.GetView().Members = without.GetView().Members[:1]
	without.GetView().Reason = "generation 4: b left"
	for i, e := range []*pb.RunEvent{notice("a", "a: reading", false), view(), notice("a", "a is late", true), without} {
		e.Sequence = int64(i) + 1
		must(t, s.apply(e))
	}
	state, _ := s.snapshot()
	if len(state.Nodes) != 1 || state.Nodes[0]["node"] != "b" || state.Nodes[0]["text"] != "generation 4: b left" || state.Nodes[0]["warning"] != true {
		t.Errorf("nodes %v", state.Nodes)
	}
	for i := range 2 * maxNodes {
		e := notice(fmt.Sprint("n", i), "came", false)
		e.Sequence = int64(i) + 10
		must(t, s.apply(e))
	}
	if state, _ = s.snapshot(); len(state.Nodes) != maxNodes {
		t.Errorf("words about %d nodes are kept", len(state.Nodes))
	}
}

// A resumed run shows its earlier part too, from the ledger; what this process has
// made comes by its events alone.
func TestStateOfAResumedRun(t *testing.T) {
	l, run := newLedger(t), newFeed()
	const id = "20261123-194946-7f3a"
	recordRun(t, l, id, 5)
	must(t, l.AppendStep(id, record.Step{Step: 6, Loss: 1, Tokens: 1000, Time: start.Add(1e12)})) // later than its start
	s, _ := serve(t, Options{Run: run, Ledger: l})
	run.add(started(), step(4), step(5))
	s.await(t, 3)
	state, _ := s.status.snapshot()
	if fmt.Sprint(state.Series.Step) != "[1 2 3 4 5]" || fmt.Sprint(state.Series.Loss) != "[5 5 5 4.996 4.995]" || state.Series.Tokens[4] != 5000 {
		t.Errorf("series %+v", state.Series)
	}
}

// What a newcomer is sent, and what is kept for him, does not grow with the run.
func TestStateIsBounded(t *testing.T) {
	s := newStatus(nil)
	size := func() int {
		state, _ := s.snapshot()
		text, err := json.Marshal(state)
		must(t, err)
		return len(text)
	}
	n := int64(0)
	grow := func(steps int64) {
		for range steps {
			n++
			must(t, s.apply(step(n)))
			must(t, s.apply(notice("a", "something happens again", false)))
			must(t, s.apply(eval(n)))
		}
	}
	grow(2500)
	before := size()
	grow(2500) // the points are as many again
	if after := size(); after > before*5/4 || after > 1<<20 {
		t.Errorf("%d bytes after 2500 steps, %d after 5000", before, after)
	}
}

func TestRecordedRuns(t *testing.T) {
	l := newLedger(t)
	recordRun(t, l, "20261123-000000-aaaa", 3)
	recordRun(t, l, "20261123-000001-bbbb", 40)
	for rank := range 8 {
		must(t, l.AppendRank("20261123-000001-bbbb", record.Rank{Generation: 1, Rank: rank, Node: fmt.Sprint("old-", rank)}))
		must(t, l.AppendRank("20261123-000001-bbbb", record.Rank{Generation: 2, Rank: rank, Node: fmt.Sprint("node-", rank), Slots: 2}))
	}
	must(t, l.AppendEvent("20261123-000001-bbbb", record.Event{Sequence: 1, Time: start, Kind: "view", Text: "generation 2"}))
	must(t, l.AppendEval("20261123-000001-bbbb", record.Eval{Step: 20, Loss: 2, Tokens: 4096, Time: start.Add(time.Second)}))
	for layer := range 2 {
		must(t, l.AppendLayer("20261123-000001-bbbb", record.Layer{Step: 30, Layer: layer, Entropy: 1.5, Correction: math.NaN(), Time: start.Add(2 * time.Second)}))
	}
	for rank := range 8 {
		must(t, l.AppendRate("20261123-000001-bbbb", record.Rate{Step: 30, Rank: rank, Generation: 2, Steps: 30, TokensPerSecond: 100, LinkBytes: 50, Send: 0.5, Receive: 0.25}))
	}
	_, url := serve(t, Options{Ledger: l})

	var runs []struct{ Run, Status string }
	_, body := get(t, url+"/api/runs")
	must(t, json.Unmarshal([]byte(body), &runs))
	if len(runs) != 2 || runs[0].Run != "20261123-000001-bbbb" || runs[0].Status != "running" {
		t.Errorf("runs %v", runs)
	}
	code, body := get(t, url+"/api/runs/20261123-000001-bbbb")
	var run struct {
		Run    string
		Series struct {
			Stride       int
			Step, Tokens []float64
		}
		Members []struct {
			Node  string
			Slots int
		}
		Events []struct{ Event, Text string }
		Looks  struct {
			Step                []float64
			Entropy, Correction [][]*float64
		}
		Rates rateColumns
	}
	must(t, json.Unmarshal([]byte(body), &run))
	if n := len(run.Series.Step); code != 200 || n != 40 || run.Series.Step[n-1] != 40 || run.Series.Tokens[n-1] != 40000 {
		t.Errorf("%d: %d points, %s", code, n, body)
	}
	if len(run.Members) != 8 || run.Members[7].Node != "node-7" || run.Members[7].Slots != 2 {
		t.Errorf("members %v", run.Members)
	}
	if len(run.Events) != 3 || run.Events[0].Text != "generation 2" || run.Events[0].Event != "view" || run.Events[1].Event != "eval" ||
		!strings.HasPrefix(run.Events[1].Text, "step 20  validation loss 2.0000") || !strings.HasPrefix(run.Events[2].Text, "step 30  in 2 layers:") {
		t.Errorf("events %v", run.Events)
	}
	if l := run.Looks; len(l.Step) != 1 || len(l.Entropy[0]) != 2 || *l.Entropy[0][1] != 1.5 || l.Correction[0][0] != nil {
		t.Errorf("looks %+v", l)
	}
	if r := run.Rates; len(r.Nodes) != 8 || r.Nodes[7] != "node-7" || r.Tokens[7][0] != 100 || r.Link[7][0] != 100 || r.Links[7] != (linked{7, 50, 0.5, 0.25}) {
		t.Errorf("rates %+v", r)
	}
	if code, body := get(t, url+"/api/runs/2026"); code != 404 || !strings.Contains(body, "fits several runs") {
		t.Errorf("%d %s", code, body)
	}
}

func TestNothingIsUnderWay(t *testing.T) {
	_, url := serve(t, Options{})
	if code, body := get(t, url+"/api/state"); code != 200 || !strings.Contains(body, `"live":false`) {
		t.Errorf("%d %s", code, body)
	}
	if code, _ := get(t, url+"/api/stream"); code != 404 {
		t.Errorf("the stream answers %d", code)
	}
	if code, body := get(t, url+"/api/runs"); code != 200 || body != "[]\n" {
		t.Errorf("%d %s", code, body)
	}
	if code, _ := get(t, url+"/api/runs/x"); code != 404 {
		t.Errorf("a run without a ledger: %d", code)
	}
	if code, body := get(t, url+"/metrics"); code != 200 || !strings.Contains(body, "parallax_build_info") {
		t.Errorf("%d %s", code, body)
	}
}

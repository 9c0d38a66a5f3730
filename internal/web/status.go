package web

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"parallax/internal/console"
	pb "parallax/proto/parallax/v1"
	"parallax/record"
)

// What a newcomer gets at most: of sentences and validation losses the last, and
// the last word about so many nodes.
const (
	maxSentences = 256
	maxEvals     = 1024
	maxNodes     = 512
)

// status is a run as it stands, made from its events. Its size is bounded.
type status struct {
	ledger *record.Ledger // has the part of a resumed run that came before this process; may be nil

	mu        sync.Mutex // guards what follows
	sequence  int64      // of the last event
	latest    map[string]console.Object
	sentences []console.Object // events but for steps
	nodes     map[string]console.Object
	series    series
	evals     evals
	looks     looks
	rates     rates
	totals    totals
}

func newStatus(ledger *record.Ledger) *status {
	return &status{ledger: ledger, latest: map[string]console.Object{}, nodes: map[string]console.Object{}}
}

// apply takes the next event. An error is about the record of an earlier part;
// the event counts all the same.
func (s *status) apply(e *pb.RunEvent) (err error) {
	o := describe(e)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sequence = e.Sequence
	if kind, known := o["event"].(string); known && kind != "notice" {
		s.latest[kind] = o
	}
	switch k := e.GetKind().(type) {
	case *pb.RunEvent_Started:
		err = s.recall(k.Started.RunId, time.Unix(0, e.UnixNanos))
	case *pb.RunEvent_Step:
		s.series.add(stepOf(k.Step))
		if p, told := ratesOf(k.Step, s.totals.view); told {
			s.rates.add(p)
		}
	case *pb.RunEvent_Eval:
		s.evals.add(k.Eval.Step, k.Eval.Loss)
	case *pb.RunEvent_Diagnosis:
		s.looks.add(k.Diagnosis)
	case *pb.RunEvent_View:
		s.newView(k.View, o)
	case *pb.RunEvent_Notice:
		if k.Notice.NodeId != "" {
			s.tell(k.Notice.NodeId, o)
		}
	}
	s.totals.count(e)
	if e.GetStep() == nil {
		s.sentences = newest(append(s.sentences, o), maxSentences)
	}
	return err
}

// newView forgets what was told of the view's members before it, and notes of
// those that are members no more why.
func (s *status) newView(v *pb.View, o console.Object) {
	for _, m := range s.totals.view.GetMembers() {
		s.tell(m.NodeId, console.Object{"event": "notice", "node": m.NodeId, "text": v.Reason, "warning": true,
			"sequence": o["sequence"], "time": o["time"]})
	}
	for _, m := range v.Members {
		delete(s.nodes, m.NodeId)
	}
}

// tell keeps the last word about a node; of too many nodes, the newest words.
func (s *status) tell(node string, o console.Object) {
	s.nodes[node] = o
	if len(s.nodes) > maxNodes {
		delete(s.nodes, inOrder(s.nodes)[0]["node"].(string))
	}
}

// recall reads what a resumed run had trained before this process began. What it
// has trained since comes by its events.
func (s *status) recall(run string, began time.Time) error {
	if s.ledger == nil {
		return nil
	}
	err := s.ledger.EachStep(run, func(step record.Step) {
		if step.Time.Before(began) {
			s.series.add(step)
		}
	})
	if err != nil {
		return err
	}
	evals, err := s.ledger.Evals(run)
	for _, e := range evals {
		if e.Time.Before(began) {
			s.evals.add(e.Step, e.Loss)
		}
	}
	if err != nil {
		return err
	}
	layers, err := s.ledger.Layers(run)
	for _, d := range looksOf(slices.DeleteFunc(layers, func(l record.Layer) bool { return !l.Time.Before(began) })) {
		s.looks.add(d)
	}
	if err != nil {
		return err
	}
	return s.rates.addRecorded(s.ledger, run, func(r record.Rate) bool { return r.Time.Before(began) })
}

// snapshot is a run as it stands, as the page takes it.
type snapshot struct {
	Cursor string           `json:"cursor"` // of the last event counted in, for /api/stream
	Live   bool             `json:"live"`   // a run is under way here, or was until just now
	Latest []console.Object `json:"latest"` // the last event of each kind, oldest first
	Nodes  []console.Object `json:"nodes"`  // the last notice about each node
	Events []console.Object `json:"events"` // the last sentences, oldest first
	Series columns          `json:"series"`
	Evals  evals            `json:"evals"`
	Looks  looks            `json:"looks"`
	Rates  rateColumns      `json:"rates"`
}

// snapshot returns the number of the last event too.
func (s *status) snapshot() (state snapshot, sequence int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return snapshot{
		Latest: inOrder(s.latest),
		Nodes:  inOrder(s.nodes),
		Events: slices.Clone(s.sentences),
		Series: s.series.columns(),
		Evals:  s.evals.clone(),
		Looks:  s.looks.clone(),
		Rates:  s.rates.columns(),
	}, s.sequence
}

// inOrder lists events by their number.
func inOrder(events map[string]console.Object) []console.Object {
	all := make([]console.Object, 0, len(events))
	for _, o := range events {
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b console.Object) int {
		return cmp.Compare(a["sequence"].(int64), b["sequence"].(int64))
	})
	return all
}

// describe is an event as the page takes it: what console prints for scripts,
// and its sentence. It is not changed any more.
func describe(e *pb.RunEvent) console.Object {
	o := console.JSON(e)
	if o == nil {
		o = console.Object{"event": "unknown"}
	}
	o["sequence"] = e.Sequence
	if sentence := console.Sentence(e); sentence != "" {
		o["text"] = sentence
	}
	return o
}

// newest is the last n of events, with room to grow before they are copied again.
func newest(events []console.Object, n int) []console.Object {
	if len(events) < 2*n {
		return events
	}
	return slices.Clone(events[len(events)-n:])
}

// stepOf is a step as the ledger has it.
func stepOf(s *pb.StepSummary) record.Step {
	return record.Step{
		Step: s.Step, Loss: s.Loss, Tokens: s.Tokens, Seconds: s.Seconds, WireBytes: s.WireBytes,
		Compute: s.ComputeSeconds, Reduce: s.ReduceSeconds, Wait: s.WaitSeconds, Update: s.UpdateSeconds,
	}
}

// evals are a run's validation losses. When there are too many, every second one
// is dropped.
type evals struct {
	Step column `json:"step"`
	Loss column `json:"loss"`
}

// add appends one, in place of those that the run went back over.
func (e *evals) add(step int64, loss float64) {
	n := len(e.Step)
	for n > 0 && e.Step[n-1] >= float64(step) {
		n--
	}
	e.Step, e.Loss = append(e.Step[:n], float64(step)), append(e.Loss[:n], loss)
	if n < maxEvals {
		return
	}
	half := 0
	for i := 1; i < len(e.Step); i += 2 {
		e.Step[half], e.Loss[half] = e.Step[i], e.Loss[i]
		half++
	}
	e.Step, e.Loss = e.Step[:half], e.Loss[:half]
}

func (e *evals) clone() evals {
	return evals{slices.Clone(e.Step), slices.Clone(e.Loss)}
}

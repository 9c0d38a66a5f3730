package web

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"parallax/internal/config"
	"parallax/internal/console"
	pb "parallax/proto/parallax/v1"
	"parallax/record"
)

// maxRuns is how many recorded runs are listed, the newest.
const maxRuns = 500

func (s *Server) getState(w http.ResponseWriter, _ *http.Request) {
	state, sequence := s.status.snapshot()
	state.Cursor, state.Live = s.cursor(sequence), s.o.Run != nil
	s.answer(w, state)
}

// recordedRun is a run of the ledger, without its steps.
type recordedRun struct {
	ID            string     `json:"run"`
	Name          string     `json:"name"`
	Status        string     `json:"status"`
	Reason        string     `json:"reason"`
	Started       time.Time  `json:"started"`
	Finished      *time.Time `json:"finished"`
	Parameters    int64      `json:"parameters"`
	FLOPsPerToken float64    `json:"flops_per_token"`
	Data          string     `json:"data"`
	Steps         int        `json:"steps"` // of the whole run, 0: unknown
	Mixer         string     `json:"mixer"`
	Optimizer     string     `json:"optimizer"`
}

// describeRun leaves out what a spec of another version does not tell.
func describeRun(r record.Run) recordedRun {
	d := recordedRun{
		ID: r.ID, Name: r.Name, Status: string(r.Status), Reason: r.Reason, Started: r.Started,
		Parameters: r.Parameters, FLOPsPerToken: r.FLOPsPerToken, Data: r.DataSummary,
	}
	if !r.Finished.IsZero() {
		d.Finished = &r.Finished
	}
	if spec, err := config.Parse([]byte(r.Spec)); err == nil {
		d.Steps, d.Mixer, d.Optimizer = spec.Train.Steps, spec.Model.Mixer, spec.Optimizer.Name
	}
	return d
}

func (s *Server) getRuns(w http.ResponseWriter, r *http.Request) {
	list := []recordedRun{}
	if s.o.Ledger != nil {
		if !s.reads.enter(r.Context()) {
			return
		}
		defer s.reads.leave()
		runs, err := s.o.Ledger.Runs()
		if err != nil {
			s.fail(w, err)
			return
		}
		for _, run := range runs[:min(len(runs), maxRuns)] {
			list = append(list, describeRun(run))
		}
	}
	s.answer(w, list)
}

// recorded is a whole recorded run, as the page takes it.
type recorded struct {
	recordedRun
	Series columns     `json:"series"`
	Evals  evals       `json:"evals"`
	Looks  looks       `json:"looks"`
	Rates  rateColumns `json:"rates"`
	Ranks  []member    `json:"members"` // of the last view
	Events []happened  `json:"events"`  // the last sentences, oldest first
}

type member struct {
	Rank   int    `json:"rank"`
	Node   string `json:"node"`
	Host   string `json:"host"`
	Device string `json:"device"`
	Slots  int    `json:"slots"`

	Hardware string  `json:"hardware"`
	Peak     float64 `json:"peak_flops"`
}

type happened struct {
	Time time.Time `json:"time"`
	Kind string    `json:"event"`
	Text string    `json:"text"`
}

func (s *Server) getRun(w http.ResponseWriter, r *http.Request) {
	if s.o.Ledger == nil {
		http.Error(w, "no record is kept here", http.StatusNotFound)
		return
	}
	if !s.reads.enter(r.Context()) {
		return
	}
	defer s.reads.leave()
	run, err := s.o.Ledger.Run(r.PathValue("id"))
	if err != nil { // there is none, or there are several
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	answer, err := readRun(s.o.Ledger, run)
	if err != nil {
		s.fail(w, err)
		return
	}
	s.answer(w, answer)
}

func readRun(l *record.Ledger, run record.Run) (recorded, error) {
	answer := recorded{recordedRun: describeRun(run), Ranks: []member{}, Events: []happened{}}
	var steps series
	if err := l.EachStep(run.ID, steps.add); err != nil {
		return answer, err
	}
	answer.Series = steps.columns()
	if err := answer.readMeasurements(l); err != nil {
		return answer, err
	}
	ranks, err := l.Ranks(run.ID)
	if err != nil {
		return answer, err
	}
	for _, k := range ranks {
		if k.Generation == ranks[len(ranks)-1].Generation {
			answer.Ranks = append(answer.Ranks, member{k.Rank, k.Node, k.Host, k.Device, k.Slots, k.Hardware, k.Peak})
		}
	}
	var fast rates
	if err := fast.addRecorded(l, run.ID, func(record.Rate) bool { return true }); err != nil {
		return answer, err
	}
	answer.Rates = fast.columns()
	events, err := l.Events(run.ID)
	for _, e := range events {
		answer.Events = append(answer.Events, happened{e.Time, e.Kind, e.Text})
	}
	slices.SortStableFunc(answer.Events, func(a, b happened) int { return a.Time.Compare(b.Time) })
	answer.Events = answer.Events[max(0, len(answer.Events)-maxSentences):]
	return answer, err
}

// readMeasurements reads what was measured now and then, with its sentences.
func (r *recorded) readMeasurements(l *record.Ledger) error {
	evals, err := l.Evals(r.ID)
	if err != nil {
		return err
	}
	for _, e := range evals {
		r.Evals.add(e.Step, e.Loss)
		r.tell(e.Time, &pb.RunEvent{Kind: &pb.RunEvent_Eval{Eval: &pb.EvalReport{Step: e.Step, Loss: e.Loss, Tokens: e.Tokens}}})
	}
	layers, err := l.Layers(r.ID)
	if err != nil {
		return err
	}
	at := map[int64]time.Time{}
	for _, row := range layers {
		at[row.Step] = row.Time
	}
	for _, d := range looksOf(layers) {
		r.Looks.add(d)
		r.tell(at[d.Step], &pb.RunEvent{Kind: &pb.RunEvent_Diagnosis{Diagnosis: d}})
	}
	return nil
}

// tell adds the sentence of what was measured, as it was told.
func (r *recorded) tell(at time.Time, e *pb.RunEvent) {
	r.Events = append(r.Events, happened{at, describe(e)["event"].(string), console.Sentence(e)})
}

// answer writes JSON.
func (s *Server) answer(w http.ResponseWriter, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		s.fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(text, '\n')) // the reader may have gone
}

// fail answers a request that should have worked.
func (s *Server) fail(w http.ResponseWriter, err error) {
	s.o.Log.Warn("a request for the page failed", "error", err)
	http.Error(w, err.Error(), http.StatusInternalServerError)
}

package sim

import (
	"fmt"
	"slices"
	"strings"

	"parallax/internal/agent"
	pb "parallax/proto/parallax/v1"
)

// Outcome is what a cluster told, and what was seen of it.
type Outcome struct {
	Scenario Scenario
	Story    fmt.Stringer
	Fired    []Fault // those that have happened
	Crashes  int     // of the coordinator
	Anew     bool    // all who held the state were lost, and it was taken from a checkpoint
	Lacks    bool    // the coordinator has said that steps lack in the record for that

	Done        *pb.Done // nil: the run hangs
	Views       []*pb.View
	Steps       []*pb.StepSummary // in the order in which they were told
	Times       []int64           // when that was, in nanoseconds
	Evals       []*pb.EvalReport
	Checkpoints map[int64]string // paths, by step; those that were reported
	Exits       map[string]error // of each node's last life
	Places      []Visit          // that the nodes came to
	ledger      []ledgerStep
}

// Visit is a node at a place.
type Visit struct {
	Node string
	agent.Place
}

// ledgerStep is a step as the ledger has it.
type ledgerStep struct {
	step       int64
	generation uint64
	loss       float64
}

// note takes what the cluster tells.
func (o *Outcome) note(e *pb.RunEvent, say func(string, ...any)) {
	switch k := e.Kind.(type) {
	case *pb.RunEvent_View:
		if o.Crashes == 0 || !slices.ContainsFunc(o.Views, func(v *pb.View) bool { return v.Generation == k.View.Generation && v.Reason == k.View.Reason }) {
			o.Views = append(o.Views, k.View)
		}
		say("view: %s", k.View.Reason)
	case *pb.RunEvent_Step:
		o.noteStep(k.Step, e.UnixNanos)
		say("step %d is made by generation %d, loss %v", k.Step.Step, k.Step.Generation, k.Step.Loss)
	case *pb.RunEvent_Eval:
		if o.Crashes == 0 || !slices.ContainsFunc(o.Evals, func(v *pb.EvalReport) bool { return v.Step == k.Eval.Step && v.Loss == k.Eval.Loss }) {
			o.Evals = append(o.Evals, k.Eval)
		}
	case *pb.RunEvent_Checkpoint:
		if k.Checkpoint.Error == "" {
			o.Checkpoints[k.Checkpoint.Step] = k.Checkpoint.Path
		}
		say("checkpoint of step %d %s", k.Checkpoint.Step, k.Checkpoint.Error)
	case *pb.RunEvent_Notice:
		o.Anew = o.Anew || strings.Contains(k.Notice.Text, "to go on from the newest checkpoint")
		o.Lacks = o.Lacks || strings.Contains(k.Notice.Text, "lack in the record")
		say("notice: %s", k.Notice.Text)
	case *pb.RunEvent_Done:
		o.Done = k.Done
		say("done after step %d, exit code %d: %s", k.Done.Step, k.Done.ExitCode, k.Done.Reason)
	}
}

// noteStep takes a step. It may be told again where all were lost who had made it, by a
// later generation that makes it again; or, as it was, by a coordinator that has come back
// from a crash, where it had not been on record.
func (o *Outcome) noteStep(s *pb.StepSummary, at int64) {
	again := func(told *pb.StepSummary) bool {
		return told.Step == s.Step && told.Loss == s.Loss && (o.Crashes > 0 || told.Generation < s.Generation)
	}
	if i := slices.IndexFunc(o.Steps, again); i >= 0 {
		o.Steps[i] = s
		return
	}
	o.Steps, o.Times = append(o.Steps, s), append(o.Times, at)
}

package sim

import (
	"fmt"

	"parallax/internal/agent"
	pb "parallax/proto/parallax/v1"
)

// Outcome is what a cluster told, and what was seen of it.
type Outcome struct {
	Scenario Scenario
	Story    fmt.Stringer
	Fired    []Fault // those that have happened

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
	step int64
	loss float64
}

// note takes what the cluster tells.
func (o *Outcome) note(e *pb.RunEvent, say func(string, ...any)) {
	switch k := e.Kind.(type) {
	case *pb.RunEvent_View:
		o.Views = append(o.Views, k.View)
		say("view: %s", k.View.Reason)
	case *pb.RunEvent_Step:
		o.Steps, o.Times = append(o.Steps, k.Step), append(o.Times, e.UnixNanos)
		say("step %d is made by generation %d, loss %v", k.Step.Step, k.Step.Generation, k.Step.Loss)
	case *pb.RunEvent_Eval:
		o.Evals = append(o.Evals, k.Eval)
	case *pb.RunEvent_Checkpoint:
		if k.Checkpoint.Error == "" {
			o.Checkpoints[k.Checkpoint.Step] = k.Checkpoint.Path
		}
		say("checkpoint of step %d %s", k.Checkpoint.Step, k.Checkpoint.Error)
	case *pb.RunEvent_Notice:
		say("notice: %s", k.Notice.Text)
	case *pb.RunEvent_Done:
		o.Done = k.Done
		say("done after step %d, exit code %d: %s", k.Done.Step, k.Done.ExitCode, k.Done.Reason)
	}
}

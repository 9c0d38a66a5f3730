package web

import (
	pb "parallax/proto/parallax/v1"
)

// totals are the run's numbers as Prometheus counts them: from the start of this
// process, never going back.
type totals struct {
	run   *pb.RunStarted
	view  *pb.View
	step  *pb.StepSummary
	eval  *pb.EvalReport
	look  *pb.Diagnosis
	saved *pb.CheckpointReport // the last that was written
	done  *pb.Done

	steps, tokens, wire int64
	seconds             split
	notices, warnings   int64
	failedCheckpoints   int64
}

// split is seconds of steps by what they went into; its fields add up to the
// whole.
type split struct{ compute, ring, wait, update, other float64 }

// splitOf leaves to other what the slowest rank took longer than the mean.
func splitOf(s *pb.StepSummary) split {
	known := s.ComputeSeconds + s.ReduceSeconds + s.WaitSeconds + s.UpdateSeconds
	return split{s.ComputeSeconds, s.ReduceSeconds, s.WaitSeconds, s.UpdateSeconds, max(0, s.Seconds-known)}
}

func (a split) plus(b split) split {
	return split{a.compute + b.compute, a.ring + b.ring, a.wait + b.wait, a.update + b.update, a.other + b.other}
}

// parts visits the parts by name.
func (a split) parts(visit func(name string, seconds float64)) {
	visit("compute", a.compute)
	visit("ring", a.ring)
	visit("wait", a.wait)
	visit("update", a.update)
	visit("other", a.other)
}

func (t *totals) count(e *pb.RunEvent) {
	switch k := e.GetKind().(type) {
	case *pb.RunEvent_Started:
		t.run = k.Started
	case *pb.RunEvent_View:
		t.view = k.View
	case *pb.RunEvent_Step:
		t.step = k.Step
		t.steps++
		t.tokens += k.Step.Tokens
		t.wire += k.Step.WireBytes
		t.seconds = t.seconds.plus(splitOf(k.Step))
	case *pb.RunEvent_Eval:
		t.eval = k.Eval
	case *pb.RunEvent_Diagnosis:
		t.look = k.Diagnosis
	case *pb.RunEvent_Checkpoint:
		if k.Checkpoint.Error != "" {
			t.failedCheckpoints++
			return
		}
		t.saved = k.Checkpoint
	case *pb.RunEvent_Notice:
		t.notices++
		if k.Notice.Warning {
			t.warnings++
		}
	case *pb.RunEvent_Done:
		t.done = k.Done
	}
}

package coord

import (
	"fmt"
	"strings"

	pb "parallax/proto/parallax/v1"
)

// show writes a decision as a line.
func (s *script) show(d Decision) string {
	switch d := d.(type) {
	case Send:
		return fmt.Sprintf("to %s: %s", s.label(d.Conn), showMessage(d.Message))
	case Keep:
		if d.State.Stop != nil {
			return "write down that the run is to stop"
		}
		return fmt.Sprintf("write down generation %d", d.State.View.GetGeneration())
	case Publish:
		return "publish " + showEvent(d.Event)
	case Finish:
		return fmt.Sprintf("finish with exit code %d", d.Code)
	}
	return fmt.Sprintf("%T", d)
}

func showMessage(m *pb.CoordinatorMessage) string {
	switch kind := m.Kind.(type) {
	case *pb.CoordinatorMessage_Welcome:
		w := kind.Welcome
		if w.Member {
			return fmt.Sprintf("welcome back, your reports up to step %d are known", w.ReceivedStep)
		}
		return fmt.Sprintf("welcome to run %s in %s (resume: %t)", w.RunId, w.Cluster.RunDir, w.Cluster.Resume)
	case *pb.CoordinatorMessage_Refusal:
		return fmt.Sprintf("refused, exit code %d: %s", kind.Refusal.ExitCode, kind.Refusal.Reason)
	case *pb.CoordinatorMessage_View:
		return fmt.Sprintf("view %d", kind.View.Generation)
	case *pb.CoordinatorMessage_Halt:
		if kind.Halt.AtBoundary {
			return fmt.Sprintf("leave the ring of generation %d after the step: %s", kind.Halt.Generation, kind.Halt.Reason)
		}
		return fmt.Sprintf("halt generation %d: %s", kind.Halt.Generation, kind.Halt.Reason)
	case *pb.CoordinatorMessage_Fetch:
		return fmt.Sprintf("fetch %d: the state of %s at %s", kind.Fetch.Number, kind.Fetch.NodeId, kind.Fetch.Address)
	case *pb.CoordinatorMessage_Serve:
		return fmt.Sprintf("serve the state to %v", kind.Serve.NodeIds)
	case *pb.CoordinatorMessage_Recorded:
		return fmt.Sprintf("recorded up to step %d", kind.Recorded.Step)
	case *pb.CoordinatorMessage_Save:
		return "save: " + kind.Save.Reason
	case *pb.CoordinatorMessage_Stop:
		when := "after the step"
		if kind.Stop.AtOnce {
			when = "at once"
		}
		return fmt.Sprintf("stop %s, exit code %d: %s", when, kind.Stop.ExitCode, kind.Stop.Reason)
	}
	return fmt.Sprintf("%T", m.Kind)
}

func showEvent(e *pb.RunEvent) string {
	switch kind := e.Kind.(type) {
	case *pb.RunEvent_Started:
		return fmt.Sprintf("started: run %s, %d steps, data %s", kind.Started.RunId, kind.Started.Steps, kind.Started.DataSummary)
	case *pb.RunEvent_View:
		return showView(kind.View)
	case *pb.RunEvent_Step:
		v := kind.Step
		return fmt.Sprintf("step %d of %d: loss %v, %.0f tokens/s, %.0f FLOP/s, %v s (compute %v), %d bytes sent",
			v.Step, v.Steps, v.Loss, v.TokensPerSecond, v.FlopsPerSecond, v.Seconds, v.ComputeSeconds, v.WireBytes)
	case *pb.RunEvent_Eval:
		return fmt.Sprintf("eval after step %d: loss %v", kind.Eval.Step, kind.Eval.Loss)
	case *pb.RunEvent_Checkpoint:
		return fmt.Sprintf("checkpoint of step %d: %s%s", kind.Checkpoint.Step, kind.Checkpoint.Path, kind.Checkpoint.Error)
	case *pb.RunEvent_Notice:
		if kind.Notice.Warning {
			return "warning: " + kind.Notice.Text
		}
		return "notice: " + kind.Notice.Text
	case *pb.RunEvent_Done:
		return fmt.Sprintf("done at step %d: %s", kind.Done.Step, kind.Done.Reason)
	}
	return fmt.Sprintf("%T", e.Kind)
}

func showView(v *pb.View) string {
	var b strings.Builder
	fmt.Fprintf(&b, "view: %s", v.Reason)
	for rank, m := range v.Members {
		fmt.Fprintf(&b, "\n  rank %d: %s, slots %v", rank, m.NodeId, m.Slots)
		if m.Fetch {
			fmt.Fprintf(&b, ", fetches the state of rank %d", v.SourceRank)
		}
	}
	return b.String()
}

package console

import (
	"encoding/json"
	"io"
	"math"
	"time"

	pb "parallax/proto/parallax/v1"
)

// jsonPrinter writes one JSON object per event and line, with the key "event"
// saying which: started, view, step, eval, diagnosis, checkpoint, notice, done.
type jsonPrinter struct{ enc *json.Encoder }

// NewJSON returns a Printer for scripts.
func NewJSON(out io.Writer) Printer {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return jsonPrinter{enc}
}

func (p jsonPrinter) Event(e *pb.RunEvent) {
	if o := JSON(e); o != nil {
		_ = p.enc.Encode(o) // a closed pipe ends the process by its signal
	}
}

func (jsonPrinter) Close() {}

// Object is an event as a script reads it.
type Object map[string]any

// JSON is an event as [NewJSON] prints it; nil for one of an unknown kind.
func JSON(e *pb.RunEvent) Object {
	o := jsonKind(e)
	if o != nil {
		o["time"] = time.Unix(0, e.GetUnixNanos()).UTC().Format(time.RFC3339Nano)
	}
	return o
}

func jsonKind(e *pb.RunEvent) Object {
	switch k := e.GetKind().(type) {
	case *pb.RunEvent_Started:
		s := k.Started
		return Object{"event": "started", "run": s.RunId, "name": s.Name, "run_dir": s.RunDir, "spec_hash": s.SpecHash,
			"steps": s.Steps, "parameters": s.Parameters, "flops_per_token": number(s.FlopsPerToken), "data": s.DataSummary}
	case *pb.RunEvent_View:
		return jsonView(k.View)
	case *pb.RunEvent_Step:
		return jsonStep(k.Step)
	case *pb.RunEvent_Eval:
		s := k.Eval
		return Object{"event": "eval", "step": s.Step, "loss": number(s.Loss), "perplexity": number(math.Exp(s.Loss)),
			"tokens": s.Tokens, "seconds": number(s.Seconds)}
	case *pb.RunEvent_Diagnosis:
		return jsonDiagnosis(k.Diagnosis)
	case *pb.RunEvent_Checkpoint:
		s := k.Checkpoint
		o := Object{"event": "checkpoint", "step": s.Step, "path": s.Path, "seconds": number(s.Seconds), "bytes": s.Bytes}
		if s.Error != "" {
			o["error"] = s.Error
		}
		return o
	case *pb.RunEvent_Notice:
		return Object{"event": "notice", "text": k.Notice.Text, "node": k.Notice.NodeId, "warning": k.Notice.Warning}
	case *pb.RunEvent_Done:
		s := k.Done
		return Object{"event": "done", "step": s.Step, "exit_code": s.ExitCode, "reason": s.Reason, "checkpoint": s.Checkpoint,
			"loss": optional(s.FinalLoss), "validation_loss": optional(s.ValidationLoss), "seconds": number(s.Seconds)}
	}
	return nil
}

func jsonView(v *pb.View) Object {
	members := make([]Object, len(v.Members))
	for rank, m := range v.Members {
		members[rank] = Object{"rank": rank, "node": m.NodeId, "host": m.Host, "device": m.Device, "hardware": m.DeviceSummary, "peak_flops": number(m.PeakFlops), "slots": m.Slots}
	}
	return Object{"event": "view", "generation": v.Generation, "members": members, "resume_step": v.ResumeStep, "reason": v.Reason}
}

func jsonStep(s *pb.StepSummary) Object {
	links := make([]Object, len(s.Links))
	for i, l := range s.Links {
		links[i] = Object{"rank": l.Rank, "bytes": l.Bytes, "send": number(l.SendSeconds), "receive": number(l.ReceiveSeconds)}
	}
	return Object{"event": "step", "step": s.Step, "steps": s.Steps, "loss": number(s.Loss), "grad_norm": number(s.GradNorm),
		"learning_rate": number(s.LearningRate), "tokens": s.Tokens,
		"tokens_per_s": number(s.TokensPerSecond), "flops_per_s": number(s.FlopsPerSecond),
		"seconds": Object{"total": number(s.Seconds), "compute": number(s.ComputeSeconds), "reduce": number(s.ReduceSeconds),
			"wait": number(s.WaitSeconds), "update": number(s.UpdateSeconds)},
		"wire_bytes": s.WireBytes, "links": links, "generation": s.Generation, "world": s.World, "rank_seconds": s.RankSeconds}
}

func jsonDiagnosis(d *pb.Diagnosis) Object {
	layers := make([]Object, len(d.Layers))
	for i, l := range d.Layers {
		layers[i] = Object{"correction": number(l.Correction), "rank_q": number(l.RankQ), "rank_r": number(l.RankR), "rank_k": number(l.RankK),
			"entropy": number(l.Entropy), "first_token": number(l.FirstToken)}
	}
	return Object{"event": "diagnosis", "step": d.Step, "seconds": number(d.Seconds), "layers": layers}
}

// number is x, or null where JSON has no such number.
func number(x float64) any {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return x
}

func optional(x *float64) any {
	if x == nil {
		return nil
	}
	return number(*x)
}

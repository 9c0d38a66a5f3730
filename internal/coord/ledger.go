package coord

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"parallax/internal/config"
	pb "parallax/proto/parallax/v1"
	"parallax/record"
)

// recorder writes a run's events into the ledger. Without one it does nothing.
type recorder struct {
	ledger   *record.Ledger
	version  string
	newID    string // for a new run; empty: one made from the time
	run      record.Run
	steps    int64    // of the whole run
	before   int64    // number of the last event of an earlier part of the run
	reached  int64    // the last step of it
	complete bool     // that was all, and nobody has come to see so
	progress Progress // up to the newest step
	rates    rates
}

// begin records that a job was submitted, or that it goes on, and gives it its id. A run
// that is complete stays so unless it starts.
func (r *recorder) begin(job Job) (id string, err error) {
	host, _ := os.Hostname()
	r.steps = int64(job.Spec.Train.Steps)
	r.run = record.Run{
		ID:       cmp.Or(r.newID, record.NewRunID(time.Now())),
		Name:     job.Name,
		Dir:      job.Dir,
		Spec:     string(config.Canonical(job.Spec)),
		SpecHash: config.Hash(job.Spec),
		Commit:   r.version,
		Versions: fmt.Sprintf("parallax %s, %s, %s/%s", r.version, runtime.Version(), runtime.GOOS, runtime.GOARCH),
		Host:     host,
		Started:  time.Now(),
		Status:   record.Running,
	}
	if r.ledger == nil {
		return r.run.ID, nil
	}
	known, err := r.earlier(job)
	switch {
	case err != nil:
	case known == nil:
		err = r.ledger.StartRun(r.run)
	default:
		r.run.ID, r.run.Name, r.run.Started = known.ID, cmp.Or(job.Name, known.Name), known.Started
		if r.complete = known.Status == record.Done; !r.complete {
			err = r.ledger.UpdateRun(r.run)
		}
	}
	return r.run.ID, err
}

// earlier finds the run that a resumed job goes on with: the newest of the same
// spec in the same folder; nil if there is none.
func (r *recorder) earlier(job Job) (*record.Run, error) {
	if !job.Resume {
		return nil, nil
	}
	runs, err := r.ledger.Runs()
	if err != nil {
		return nil, err
	}
	for _, run := range runs {
		if run.Dir == r.run.Dir && run.SpecHash == r.run.SpecHash {
			events, err := r.ledger.Events(run.ID)
			if len(events) > 0 {
				r.before = events[len(events)-1].Sequence
			}
			if err == nil {
				err = r.ledger.EachStep(run.ID, func(s record.Step) { r.reached = max(r.reached, s.Step) })
			}
			return &run, err
		}
	}
	return nil, nil
}

// append records one event.
func (r *recorder) append(e *pb.RunEvent) error {
	r.progress.add(e)
	if r.ledger == nil || r.run.ID == "" {
		return nil
	}
	at := time.Unix(0, e.UnixNanos)
	switch kind := e.Kind.(type) {
	case *pb.RunEvent_Started:
		return r.started(e, kind.Started)
	case *pb.RunEvent_View:
		return r.view(e, kind.View)
	case *pb.RunEvent_Step:
		if err := r.record(r.rates.add(kind.Step, at)); err != nil {
			return err
		}
		return r.ledger.AppendStep(r.run.ID, r.step(kind.Step, at))
	case *pb.RunEvent_Eval:
		v := kind.Eval
		return r.ledger.AppendEval(r.run.ID, record.Eval{
			Step: v.Step, Generation: v.Generation, Loss: v.Loss, Tokens: v.Tokens, Seconds: v.Seconds, Time: at})
	case *pb.RunEvent_Diagnosis:
		return r.diagnosis(kind.Diagnosis, at)
	case *pb.RunEvent_Checkpoint:
		v := kind.Checkpoint
		if v.Error != "" {
			return r.event(e, "checkpoint", fmt.Sprintf("checkpoint of step %d failed: %s", v.Step, v.Error), v)
		}
		return r.event(e, "checkpoint", fmt.Sprintf("checkpoint of step %d in %s", v.Step, v.Path), v)
	case *pb.RunEvent_Notice:
		return r.event(e, "notice", kind.Notice.Text, kind.Notice)
	case *pb.RunEvent_Done:
		return r.done(e, kind.Done)
	}
	return nil
}

// event records what has no table of its own.
func (r *recorder) event(e *pb.RunEvent, kind, text string, payload proto.Message) error {
	data, err := protojson.Marshal(payload)
	if err != nil {
		return err
	}
	return r.ledger.AppendEvent(r.run.ID, record.Event{
		Sequence: r.before + e.Sequence, Time: time.Unix(0, e.UnixNanos), Kind: kind, Text: text, Payload: data})
}

func (r *recorder) started(e *pb.RunEvent, s *pb.RunStarted) error {
	r.complete = false
	r.run.Parameters = s.Parameters
	r.run.FLOPsPerToken, r.run.FLOPsPerToken6N = s.FlopsPerToken, s.FlopsPerToken_6N
	r.run.DataSummary, r.run.DataDigest = s.DataSummary, s.DataDigest
	if err := r.ledger.UpdateRun(r.run); err != nil {
		return err
	}
	return r.event(e, "started", fmt.Sprintf("run %s has started on %s", s.RunId, s.DataSummary), s)
}

// record writes how fast ranks and links were.
func (r *recorder) record(rates []record.Rate) error {
	for _, rate := range rates {
		if err := r.ledger.AppendRate(r.run.ID, rate); err != nil {
			return err
		}
	}
	return nil
}

func (r *recorder) view(e *pb.RunEvent, v *pb.View) error {
	if err := r.record(r.rates.take()); err != nil {
		return err
	}
	r.rates.enter(v)
	for rank, m := range v.Members {
		err := r.ledger.AppendRank(r.run.ID, record.Rank{
			Generation: v.Generation, Rank: rank, Node: m.NodeId, Host: m.Host, Device: m.Device, Slots: len(m.Slots),
			Hardware: m.DeviceSummary, Peak: m.PeakFlops})
		if err != nil {
			return err
		}
	}
	return r.event(e, "view", v.Reason, v)
}

func (r *recorder) step(s *pb.StepSummary, at time.Time) record.Step {
	return record.Step{
		Step:            s.Step,
		Generation:      s.Generation,
		World:           int(s.World),
		Loss:            s.Loss,
		GradNorm:        s.GradNorm,
		LR:              s.LearningRate,
		Tokens:          s.Tokens,
		FLOPs:           float64(s.Tokens) * r.run.FLOPsPerToken,
		FLOPs6N:         float64(s.Tokens) * r.run.FLOPsPerToken6N,
		Seconds:         s.Seconds,
		Compute:         s.ComputeSeconds,
		Reduce:          s.ReduceSeconds,
		Wait:            s.WaitSeconds,
		Update:          s.UpdateSeconds,
		TokensPerSecond: s.TokensPerSecond,
		FLOPsPerSecond:  s.FlopsPerSecond,
		WireBytes:       s.WireBytes,
		Time:            at,
	}
}

func (r *recorder) diagnosis(d *pb.Diagnosis, at time.Time) error {
	for i, l := range d.Layers {
		err := r.ledger.AppendLayer(r.run.ID, record.Layer{
			Step: d.Step, Layer: i, Generation: d.Generation, Correction: l.Correction, RankQ: l.RankQ, RankR: l.RankR, RankK: l.RankK,
			Entropy: l.Entropy, FirstToken: l.FirstToken, Time: at})
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *recorder) done(e *pb.RunEvent, d *pb.Done) error {
	if r.complete {
		return nil
	}
	if err := r.record(r.rates.take()); err != nil {
		return err
	}
	if err := r.event(e, "done", d.Reason, d); err != nil {
		return err
	}
	status := record.Failed
	switch {
	case d.ExitCode == ExitDone && d.Step >= r.steps:
		status = record.Done
	case d.ExitCode == ExitDone || d.ExitCode == ExitRequeue:
		status = record.Stopped
	}
	return r.ledger.FinishRun(r.run.ID, status, int(d.ExitCode), d.Reason, time.Unix(0, e.UnixNanos))
}

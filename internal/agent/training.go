package agent

import (
	"context"
	"errors"
	"fmt"

	"parallax/collective"
	"parallax/internal/train"
	"parallax/kernels"
	pb "parallax/proto/parallax/v1"
)

// training is the goroutine that makes the steps of one view.
type training struct {
	*agent
	view   *pb.View
	rank   int
	keeps  bool // what it holds until it has fetched another state
	comm   *collective.Comm
	cancel context.CancelFunc
	done   chan outcome
}

// outcome is how a view's training ended.
type outcome struct {
	complete bool  // all steps are made; else the ranks have stopped together
	left     bool  // or they have left the ring together, to be in another view
	err      error // or it broke off
}

func startTraining(a *agent, v *pb.View, rank int, keeps bool) *training {
	ctx, cancel := context.WithCancel(context.Background())
	t := &training{agent: a, view: v, rank: rank, keeps: keeps, cancel: cancel, done: make(chan outcome, 1)}
	go func() { t.done <- t.run(ctx) }()
	return t
}

// halt breaks training off and waits for it.
func (t *training) halt() outcome {
	t.cancel()
	return <-t.done
}

func (t *training) run(ctx context.Context) outcome {
	comm, err := t.connect(ctx)
	if err != nil {
		return outcome{err: err}
	}
	defer comm.Close()
	t.comm = comm
	if err := t.trainer.Enter(train.View{Comm: comm, Slots: deal(t.view)}); err != nil {
		return outcome{err: err}
	}
	t.observed()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		select {
		case <-comm.Failed(): // while this rank computes
			stop(comm.Err())
		case <-ctx.Done():
		}
	}()
	if err := t.joinFabric(ctx); err != nil {
		return outcome{err: err}
	}
	if err := t.fetch(ctx); err != nil {
		return outcome{err: err}
	}
	out := t.steps(ctx)
	if out.left {
		t.source.Leave(t.view.Generation, t.trainer.Applied())
	}
	return out
}

// joinFabric has the ranks choose what gradients go through, where all have devices of
// one kind that may have a fabric of its own.
func (t *training) joinFabric(ctx context.Context) error {
	if len(t.view.Members) < 2 {
		return nil
	}
	for _, m := range t.view.Members {
		if kind, _, err := kernels.ParseDevice(m.Device); err != nil || kind == "cpu" {
			return nil
		}
	}
	said, err := t.trainer.JoinFabric(ctx, t.o.Fabric)
	if err == nil {
		t.log.Info(said, "generation", t.view.Generation)
	}
	return err
}

// fetch has the states of all ranks made equal where they differ.
func (t *training) fetch(ctx context.Context) error {
	mine := t.view.Members[t.rank].Fetch
	if held := t.trainer.Applied(); !mine && held != t.view.ResumeStep {
		return fmt.Errorf("generation %d begins after step %d, and this node holds step %d", t.view.Generation, t.view.ResumeStep, held)
	}
	if !t.view.SyncState {
		return nil
	}
	t.at(Fetch)
	if mine {
		t.source.Break()
	}
	err := t.trainer.Synchronize(ctx, train.Sync{Root: int(t.view.SourceRank), Digest: t.view.Digest, Fetch: mine, Keep: t.keeps})
	if damaged := new(train.DigestError); errors.As(err, &damaged) {
		err = fmt.Errorf("the state fetched from %s: %w: check both hosts with parallax verify", t.view.Members[t.view.SourceRank].NodeId, err)
	}
	return err
}

// connectTimeouts is how many failure timeouts a neighbour may take to enter a
// view: another node's state may have to leave the device first.
const connectTimeouts = 3

// connect closes the ring of this view.
func (t *training) connect(ctx context.Context) (*collective.Comm, error) {
	cfg := collective.Config{Generation: t.view.Generation, Rank: t.rank, Timeout: t.failureTimeout()}
	for _, m := range t.view.Members {
		cfg.Members = append(cfg.Members, collective.Member{Name: m.NodeId, Host: m.Host, Address: m.RingAddress})
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeouts*t.failureTimeout())
	defer cancel()
	transport, err := t.ring.Connect(ctx, cfg, t.linkOptions(cfg)...)
	if err != nil {
		return nil, err
	}
	return collective.New(cfg, transport)
}

// steps trains to the end of the run, or until the ranks agree to stop or leave.
// What is due after the step at which a later view begins may not have come about
// in the view before, so it is done again.
func (t *training) steps(ctx context.Context) outcome {
	end := int64(t.saver.spec.Train.Steps)
	if step := t.trainer.Applied(); t.view.Generation > 1 && step > 0 {
		if err := t.afterStep(ctx, step, step == end, step == end); err != nil {
			return outcome{err: err}
		}
	}
	for t.trainer.Applied() < end {
		if err := t.offer(); err != nil {
			return outcome{err: err}
		}
		r, err := t.trainer.Step(ctx)
		if err != nil {
			return outcome{err: err}
		}
		t.reportStep(r)
		complete := r.Step == end
		if err := t.afterStep(ctx, r.Step, complete, complete || r.Wish == train.Stop); err != nil {
			return outcome{err: err}
		}
		if r.Wish != train.GoOn && !complete {
			return outcome{left: r.Wish == train.Leave}
		}
	}
	return outcome{complete: true}
}

// afterStep saves, evaluates, and looks into the layers, when the step is due for
// it. After the last step nobody goes before the state is saved: should rank 0 be
// lost, the others have it.
func (t *training) afterStep(ctx context.Context, step int64, complete, last bool) error {
	spec := t.saver.spec
	if t.rank == 0 && (last || due(step, spec.Checkpoint.Every)) {
		t.at(Checkpoint)
		t.saver.save(t.trainer)
	}
	if t.trainer.HasValidation() && (complete || !last && due(step, spec.Eval.Every)) {
		if err := t.evaluate(ctx); err != nil {
			return err
		}
	}
	if t.rank == 0 && looks(spec.Diagnostics.Every, step, complete) {
		if err := t.diagnose(); err != nil {
			return err
		}
	}
	if !last {
		return nil
	}
	if err := t.saver.wait(); err != nil {
		return err
	}
	return t.comm.Barrier(ctx, collective.Point{Step: step, Phase: "saved", Bucket: -1})
}

// looks says whether the layers are looked into after a step.
func looks(every int, step int64, complete bool) bool {
	return due(step, every) || complete && every > 0
}

func due(step int64, every int) bool { return every > 0 && step%int64(every) == 0 }

func (t *training) evaluate(ctx context.Context) error {
	e, err := t.trainer.Evaluate(ctx)
	if err != nil {
		return err
	}
	t.report(&pb.NodeMessage{Kind: &pb.NodeMessage_Eval{Eval: &pb.EvalReport{
		Generation: t.view.Generation, Step: e.Step, Loss: e.Loss, Tokens: e.Tokens, Seconds: e.Seconds}}})
	return nil
}

func (t *training) diagnose() error {
	d, err := t.trainer.Diagnose()
	if err != nil {
		return err
	}
	report := &pb.Diagnosis{Generation: t.view.Generation, Step: d.Step, Seconds: d.Seconds}
	for _, l := range d.Layers {
		report.Layers = append(report.Layers, &pb.LayerDiagnosis{Correction: l.Correction, RankQ: l.RankQ, RankR: l.RankR, RankK: l.RankK,
			Entropy: l.Entropy, FirstToken: l.FirstToken})
	}
	t.report(&pb.NodeMessage{Kind: &pb.NodeMessage_Diagnosis{Diagnosis: report}})
	return nil
}

func (t *training) reportStep(r train.Report) {
	s := r.Seconds
	t.report(&pb.NodeMessage{Kind: &pb.NodeMessage_Step{Step: &pb.StepReport{
		Generation: t.view.Generation, Step: r.Step, Loss: r.Loss, GradNorm: r.GradNorm, LearningRate: r.LearningRate,
		Tokens: r.Tokens, Seconds: s.Total, ComputeSeconds: s.Compute, ReduceSeconds: s.Reduce,
		WaitSeconds: s.Wait, UpdateSeconds: s.Update, WireBytes: r.WireBytes,
		SendSeconds: r.Link.Sending, ReceiveSeconds: r.Link.Receiving}}})
}

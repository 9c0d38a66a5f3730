package agent

import (
	"context"

	"parallax/collective"
	"parallax/collective/grpcring"
	"parallax/internal/train"
	pb "parallax/proto/parallax/v1"
)

// training is the goroutine that makes the steps of one view.
type training struct {
	*agent
	view   *pb.View
	rank   int
	cancel context.CancelFunc
	done   chan outcome
}

// outcome is how a view's training ended.
type outcome struct {
	complete bool  // all steps are made; else the ranks have stopped together
	err      error // or it broke off
}

func startTraining(a *agent, v *pb.View, rank int) *training {
	ctx, cancel := context.WithCancel(context.Background())
	t := &training{agent: a, view: v, rank: rank, cancel: cancel, done: make(chan outcome, 1)}
	go func() { t.done <- t.run(ctx) }()
	return t
}

// halt breaks training off and waits for it.
func (t *training) halt() {
	t.cancel()
	<-t.done
}

func (t *training) run(ctx context.Context) outcome {
	comm, err := t.connect(ctx)
	if err != nil {
		return outcome{err: err}
	}
	defer comm.Close()
	if err := t.trainer.Enter(train.View{Comm: comm, Slots: deal(t.view)}); err != nil {
		return outcome{err: err}
	}
	if t.view.SyncState {
		if err := t.trainer.Synchronize(ctx, int(t.view.SourceRank)); err != nil {
			return outcome{err: err}
		}
	}
	complete, err := t.steps(ctx)
	return outcome{complete: complete, err: err}
}

// connect closes the ring of this view.
func (t *training) connect(ctx context.Context) (*collective.Comm, error) {
	cfg := collective.Config{Generation: t.view.Generation, Rank: t.rank, Timeout: t.failureTimeout()}
	for _, m := range t.view.Members {
		cfg.Members = append(cfg.Members, collective.Member{Name: m.NodeId, Host: m.Host, Address: m.RingAddress})
	}
	transport, err := t.ring.Connect(ctx, cfg, t.linkOptions(cfg)...)
	if err != nil {
		return nil, err
	}
	return collective.New(cfg, transport)
}

// linkOptions let us link to the next rank only if it has the certificate of the
// node that the view says it is.
func (t *training) linkOptions(cfg collective.Config) []grpcring.Option {
	if !t.o.Trust.Secure() {
		return nil
	}
	next := cfg.Members[(cfg.Rank+1)%len(cfg.Members)].Name
	return []grpcring.Option{grpcring.WithDialOptions(t.o.Trust.Node(next).DialOptions()...)}
}

// steps trains to the end of the run, or until the ranks stop together.
func (t *training) steps(ctx context.Context) (complete bool, err error) {
	for int(t.trainer.Applied()) < t.saver.spec.Train.Steps {
		r, err := t.trainer.Step(ctx)
		if err != nil {
			return false, err
		}
		t.report(r)
		complete = int(r.Step) == t.saver.spec.Train.Steps
		if err := t.afterStep(ctx, r, complete); err != nil {
			return false, err
		}
		if r.Stop && !complete {
			return false, nil
		}
	}
	return true, nil
}

// afterStep saves, then evaluates, when the step is due for it.
func (t *training) afterStep(ctx context.Context, r train.Report, complete bool) error {
	spec := t.saver.spec
	last := complete || r.Stop
	if t.rank == 0 && (last || due(r.Step, spec.Checkpoint.Every)) {
		t.saver.save(t.trainer)
	}
	if t.trainer.HasValidation() && (complete || !last && due(r.Step, spec.Eval.Every)) {
		if err := t.evaluate(ctx); err != nil {
			return err
		}
	}
	if last {
		return t.saver.wait()
	}
	return nil
}

func due(step int64, every int) bool { return every > 0 && step%int64(every) == 0 }

func (t *training) evaluate(ctx context.Context) error {
	e, err := t.trainer.Evaluate(ctx)
	if err != nil {
		return err
	}
	t.link.send(&pb.NodeMessage{Kind: &pb.NodeMessage_Eval{Eval: &pb.EvalReport{
		Generation: t.view.Generation, Step: e.Step, Loss: e.Loss, Tokens: e.Tokens, Seconds: e.Seconds}}})
	return nil
}

func (t *training) report(r train.Report) {
	s := r.Seconds
	t.link.send(&pb.NodeMessage{Kind: &pb.NodeMessage_Step{Step: &pb.StepReport{
		Generation: t.view.Generation, Step: r.Step, Loss: r.Loss, GradNorm: r.GradNorm, LearningRate: r.LearningRate,
		Tokens: r.Tokens, Seconds: s.Total, ComputeSeconds: s.Compute, ReduceSeconds: s.Reduce,
		WaitSeconds: s.Wait, UpdateSeconds: s.Update, WireBytes: r.WireBytes}}})
}

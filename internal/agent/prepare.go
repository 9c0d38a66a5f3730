package agent

import (
	"context"
	"errors"
	"strings"
	"time"

	"parallax/internal/config"
	"parallax/internal/train"
	pb "parallax/proto/parallax/v1"
	"parallax/shard/corpus"
)

// prepare loads the data, builds the model, restores the newest usable
// checkpoint when the run is resumed, and says that the node is ready.
func (a *agent) prepare(ctx context.Context) error {
	spec, err := config.Parse([]byte(a.welcome.SpecToml))
	if err != nil {
		return usage("the coordinator sent a run spec that this version cannot read: %w", err)
	}
	if err := a.openData(ctx, spec); err != nil {
		return err
	}
	if err := a.build(spec); err != nil {
		return err
	}
	a.saver = newSaver(a.welcome, spec, a.data.Digest, a.report)
	if a.welcome.GetCluster().GetResume() {
		if err := a.restore(); err != nil {
			return err
		}
	}
	if a.o.Prepared != nil {
		a.o.Prepared()
	}
	return a.ready(spec)
}

// build makes the model and its optimizer, with the state that all start from.
func (a *agent) build(spec config.Spec) (err error) {
	if a.trainer, err = train.New(a.device, spec, a.data); err != nil {
		return usage("%w", err)
	}
	a.trainer.RecordTo(tape{a.source})
	return nil
}

// progressInterval is how often a node says how far it has come.
const progressInterval = time.Second

func (a *agent) openData(ctx context.Context, spec config.Spec) (err error) {
	var said time.Time
	a.data, err = train.OpenData(ctx, spec, a.o.CacheDir, func(p corpus.Progress) {
		if time.Since(said) >= progressInterval {
			said = time.Now()
			a.progress(p.String())
		}
	})
	if errors.Is(err, context.Canceled) {
		return errInterrupted
	}
	if err != nil {
		return usage("node %s cannot prepare the data: %w", a.o.Name, err)
	}
	return nil
}

func (a *agent) progress(doing string) {
	a.log.Info(doing)
	a.report(&pb.NodeMessage{Kind: &pb.NodeMessage_Progress{Progress: &pb.Progress{Doing: doing}}})
}

// restore loads the newest checkpoint of this run that is whole, if this host
// has any of more steps than are held; another node may hold one when this one does not.
func (a *agent) restore() error {
	found, skipped, err := a.saver.restoreNewest(a.trainer)
	if err != nil {
		return err
	}
	if found == "" && len(skipped) > 0 {
		return usage("no checkpoint in %s can be used: %s; remove them to begin anew", a.saver.root(), strings.Join(skipped, "; "))
	}
	for _, sentence := range skipped {
		a.progress("passes over a checkpoint: " + sentence)
	}
	if found != "" {
		a.progress("resumes from " + found)
	}
	return nil
}

func (a *agent) ready(spec config.Spec) error {
	digest, err := a.trainer.Digest()
	if err != nil {
		return err
	}
	cfg := a.trainer.Model().Config()
	a.readied = &pb.Ready{
		Step: a.trainer.Applied(), Digest: digest,
		TrainTokens: int64(a.trainer.TrainTokens()), Parameters: cfg.Parameters(),
		FlopsPerToken: cfg.FLOPsPerToken(spec.Train.SeqLen), FlopsPerToken_6N: cfg.FLOPsPerToken6N(spec.Train.SeqLen),
		DataSummary: a.data.Summary, DataDigest: a.data.Digest,
	}
	a.report(&pb.NodeMessage{Kind: &pb.NodeMessage_Ready{Ready: a.readied}})
	return nil
}

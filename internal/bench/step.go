package bench

import (
	"context"
	"math/rand/v2"

	"parallax/collective"
	"parallax/internal/config"
	"parallax/internal/train"
	"parallax/kernels"
	"parallax/model"
	"parallax/shard"
)

// StepResult is the speed of whole training steps on one device.
type StepResult struct {
	Parameters int64   `json:"parameters"`
	Tokens     int64   `json:"tokens_per_step"`
	Seconds    Spread  `json:"seconds"`
	Compute    float64 `json:"compute_seconds"` // means over the steps
	Update     float64 `json:"update_seconds"`
	Rate       float64 `json:"tokens_per_s"` // at the median
	FLOPS      float64 `json:"flops_per_s"`  // model FLOPs
	FLOPS6N    float64 `json:"flops_per_s_6n"`
	Share      float64 `json:"share_of_peak,omitempty"`
	Device     int64   `json:"device_bytes,omitempty"` // in use on the device, by everybody, where it has memory of its own
	Split      []Part  `json:"split,omitempty"`
}

// Plan says which steps to make.
type Plan struct {
	Warmup, Steps int
	// Split adds as many steps again in which every operation is timed on its own.
	Split bool
}

// Step trains a spec's model on random tokens below vocabulary.
func Step(ctx context.Context, be kernels.Backend, spec config.Spec, vocabulary int, peak kernels.Peak, plan Plan) (StepResult, error) {
	split := newSplitter(be)
	on := be
	if plan.Split {
		on = split
	}
	comm, err := collective.New(collective.Config{Members: []collective.Member{{Name: "bench"}}}, nil)
	if err != nil {
		return StepResult{}, err
	}
	defer comm.Close()
	trainer, err := newTrainer(on, spec, vocabulary, comm)
	if err != nil {
		return StepResult{}, err
	}
	defer trainer.Close()
	reports, err := makeSteps(ctx, trainer, plan.Warmup, plan.Steps)
	if err != nil {
		return StepResult{}, err
	}
	r := summarize(reports)
	if s, can := be.(kernels.Sizer); can {
		free, total, err := s.Memory()
		if err != nil {
			return StepResult{}, err
		}
		r.Device = total - free
	}
	r.rate(trainer.Model().Config(), spec.Train.SeqLen, peak)
	if plan.Split {
		split.on = true
		_, err = makeSteps(ctx, trainer, 0, plan.Steps)
		r.Split = split.split(plan.Steps)
	}
	return r, err
}

// newTrainer is a trainer on random tokens, alone in its ring.
func newTrainer(be kernels.Backend, spec config.Spec, vocabulary int, comm *collective.Comm) (*train.Trainer, error) {
	trainer, err := train.New(be, spec, noise{seqLen: spec.Train.SeqLen, vocabulary: vocabulary})
	if err != nil {
		return nil, err
	}
	if err := trainer.Enter(train.View{Comm: comm, Slots: shard.Deal(spec.Train.Slots, []float64{1})}); err != nil {
		trainer.Close()
		return nil, err
	}
	return trainer, nil
}

// rate derives what follows from tokens per second.
func (r *StepResult) rate(cfg model.Config, seqLen int, peak kernels.Peak) {
	r.Parameters = cfg.Parameters()
	r.FLOPS = r.Rate * cfg.FLOPsPerToken(seqLen)
	r.FLOPS6N = r.Rate * cfg.FLOPsPerToken6N(seqLen)
	if peak.FLOPS > 0 {
		r.Share = r.FLOPS / peak.FLOPS
	}
}

func makeSteps(ctx context.Context, trainer *train.Trainer, warmup, steps int) ([]train.Report, error) {
	var reports []train.Report
	for i := range warmup + steps {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r, err := trainer.Step(ctx)
		if err != nil {
			return nil, err
		}
		if i >= warmup {
			reports = append(reports, r)
		}
	}
	return reports, nil
}

func summarize(reports []train.Report) StepResult {
	var r StepResult
	var seconds []float64
	for _, step := range reports {
		seconds = append(seconds, step.Seconds.Total)
		r.Compute += step.Seconds.Compute / float64(len(reports))
		r.Update += step.Seconds.Update / float64(len(reports))
		r.Tokens = step.Tokens
	}
	r.Seconds = SpreadOf(seconds)
	r.Rate = float64(r.Tokens) / r.Seconds.Median
	return r
}

// noise is a source of random tokens.
type noise struct{ seqLen, vocabulary int }

func (n noise) SeqLen() int               { return n.seqLen }
func (n noise) Vocabulary() int           { return n.vocabulary }
func (n noise) Sequences(shard.Split) int { return 1 << 20 }

func (n noise) Fill(split shard.Split, indices []int, tokens, targets, docStart []int32) int {
	shard.CheckFill(n, split, indices, tokens, targets, docStart)
	clear(docStart)
	for row, index := range indices {
		r := rand.New(rand.NewPCG(uint64(split), uint64(index)))
		for i := row * n.seqLen; i < (row+1)*n.seqLen; i++ {
			tokens[i], targets[i] = r.Int32N(int32(n.vocabulary)), r.Int32N(int32(n.vocabulary))
		}
	}
	return len(targets)
}

package train

import (
	"fmt"
	"sync/atomic"

	"parallax/collective"
	"parallax/internal/config"
	"parallax/kernels"
	"parallax/model"
	"parallax/optimizer"
	"parallax/shard"
)

// Trainer holds the state of a run on one rank. It is used from one goroutine,
// but for Ask.
type Trainer struct {
	spec     config.Spec
	be       kernels.Backend
	model    *model.Model
	opt      *optimizer.Optimizer
	schedule optimizer.Schedule
	source   shard.Source
	sampler  *shard.Sampler
	op       collective.Op
	exact    *exact // with sum-exact

	optConfig optimizer.Config
	optParams []optimizer.Param

	applied int64        // steps
	rate    float64      // of the matrices, before the schedule
	broken  error        // why the state must not be used any more
	wish    atomic.Int32 // a Wish
	view    *view
	observe func(Place) // nil: nobody is told

	recorder Recorder // of changes; nil: none
	filled   []byte   // the head of an image that is being filled in; nil: none is

	ready    func(lo, hi int) // gradReady, made once
	hostNorm []byte           // where the gradient's norm is read to
}

// New allocates the model and its optimizer on a backend and initialises them
// from the spec's seed. The trainer borrows the backend and the source.
func New(be kernels.Backend, spec config.Spec, source shard.Source) (*Trainer, error) {
	if p := be.Info().Precision; p.Master != kernels.F32 {
		return nil, fmt.Errorf("device %s keeps parameters in %v: gradients are reduced in float32, so it cannot train", be.Info().Device, p.Master)
	}
	t := &Trainer{spec: spec, be: be, source: source, hostNorm: be.HostAlloc(4)}
	t.ready = t.gradReady
	for _, build := range []func() error{t.chooseRules, t.buildModel, t.buildExact, t.buildOptimizer} {
		if err := build(); err != nil {
			t.Close()
			return nil, err
		}
	}
	return t, nil
}

func (t *Trainer) chooseRules() (err error) {
	if t.op, err = collective.ParseOp(t.spec.Train.Reduction); err != nil {
		return err
	}
	t.schedule = schedule(t.spec)
	if err := t.schedule.Check(); err != nil {
		return err
	}
	t.sampler, err = shard.NewSampler(t.spec.Seed, t.source.Sequences(shard.Train), t.spec.Train.Slots, t.spec.Train.MicroBatch)
	return err
}

func (t *Trainer) buildModel() error {
	cfg, err := ModelConfig(t.spec, t.source.Vocabulary())
	if err != nil {
		return err
	}
	if t.model, err = model.New(t.be, cfg, t.spec.Train.MicroBatch, t.spec.Train.SeqLen); err != nil {
		return err
	}
	return t.model.Init(t.spec.Seed)
}

func (t *Trainer) buildExact() (err error) {
	if t.op == collective.SumI32 {
		t.exact, err = newExact(t.be, t.model.Layout(), t.model.Grads(), t.spec.Train.Slots)
	}
	return err
}

func (t *Trainer) buildOptimizer() (err error) {
	t.optConfig = OptimizerConfig(t.spec)
	t.optParams = OptimizerParams(t.model.Layout())
	t.rate = t.optConfig.LR
	if t.optConfig.Name == "adamw" {
		t.rate = t.optConfig.AdamLR
	}
	t.opt, err = optimizer.New(t.be, t.optConfig, t.optParams,
		optimizer.Target{Params: t.model.Params(), Work: t.model.Work(), Grads: t.model.Grads()})
	return err
}

// Close frees what New and Enter allocated.
func (t *Trainer) Close() {
	t.leave()
	if t.opt != nil {
		t.opt.Close()
	}
	if t.exact != nil {
		t.exact.free()
	}
	if t.model != nil {
		t.model.Close()
	}
}

// Model is the model being trained, for counts and shapes.
func (t *Trainer) Model() *model.Model { return t.model }

// Applied is the number of steps that the state has seen.
func (t *Trainer) Applied() int64 { return t.applied }

// Epoch is how often the training sequences have been seen.
func (t *Trainer) Epoch() float64 { return t.sampler.Epoch(t.applied) }

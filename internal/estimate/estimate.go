package estimate

import (
	"fmt"
	"slices"

	"parallax/internal/config"
	"parallax/internal/train"
	"parallax/kernels"
	"parallax/model"
	"parallax/optimizer"
	"parallax/shard"
)

// Run is a run to be judged before it starts.
type Run struct {
	Spec      config.Spec
	Model     model.Config
	Nodes     int
	Precision kernels.Precision // of the device
	Lanes     int               // likewise
	// OneHost says that all nodes share this host, as parallax sim has them;
	// otherwise each has a host like this one to itself.
	OneHost bool
	// Overhead is what the device takes beside buffers, see kernels.Sizer.
	Overhead int64
}

// Estimate is what a run will cost.
type Estimate struct {
	Parameters      int64   `json:"parameters"`
	FLOPsPerToken   float64 `json:"flops_per_token"`
	FLOPsPerToken6N float64 `json:"flops_per_token_6n"`
	TokensPerStep   int64   `json:"tokens_per_step"`
	Steps           int     `json:"steps"`
	// BusiestSlots is how many micro-batches the rank with the most has.
	BusiestSlots int     `json:"busiest_rank_slots"`
	Memory       Memory  `json:"memory_per_rank"`
	Traffic      Traffic `json:"traffic_per_step_and_rank"`

	stepFLOPs   float64 // of passes, where they take longest: model FLOPs
	againFLOPs  float64 // of what train.recompute has computed twice, likewise
	updateFLOPs float64 // of Newton-Schulz, likewise
}

// New counts. The spec is valid, and the model is its.
func New(r Run) (*Estimate, error) {
	if r.Nodes < 1 {
		return nil, fmt.Errorf("a run on %d nodes: it needs at least one", r.Nodes)
	}
	t, layout := r.Spec.Train, model.NewLayout(r.Model)
	plan, err := optimizer.NewPlan(train.OptimizerConfig(r.Spec), train.OptimizerParams(layout), r.Nodes)
	if err != nil {
		return nil, err
	}
	e := &Estimate{
		Parameters: r.Model.Parameters(), Steps: t.Steps, TokensPerStep: int64(t.SeqLen) * int64(t.MicroBatch) * int64(t.Slots),
		FLOPsPerToken: r.Model.FLOPsPerToken(t.SeqLen), FLOPsPerToken6N: r.Model.FLOPsPerToken6N(t.SeqLen),
	}
	for _, slots := range shard.Deal(t.Slots, slices.Repeat([]float64{1}, r.Nodes)) {
		e.BusiestSlots = max(e.BusiestSlots, len(slots))
	}
	e.Memory = memoryOf(r, layout, plan, e.BusiestSlots)
	e.Traffic = trafficOf(r, layout, plan)
	e.countFLOPs(r, plan)
	return e, nil
}

// newtonSchulzSteps is the number of iterations of each update.
const newtonSchulzSteps = 5

// countFLOPs adds up what has to be computed before a step is over: by the busiest
// rank, or, on one host, by all.
func (e *Estimate) countFLOPs(r Run, plan optimizer.Plan) {
	t := r.Spec.Train
	micro := float64(t.MicroBatch) * float64(r.Model.SequenceFLOPs(t.SeqLen).Total())
	again := float64(t.MicroBatch) * float64(r.Model.RecomputedFLOPs(t.SeqLen))
	busiest, all := int64(0), int64(0)
	for _, cost := range plan.Costs() {
		busiest = max(busiest, cost)
		all += cost
	}
	slots := e.BusiestSlots
	if r.OneHost {
		slots, busiest = t.Slots, all
	}
	e.stepFLOPs, e.againFLOPs = micro*float64(slots), again*float64(slots)
	e.updateFLOPs = newtonSchulzSteps * float64(busiest)
}

// SecondsInProducts is how long a step's matrix products and Newton-Schulz
// iterations take on a host that computes them at rate FLOP/s: what is missing is
// everything else, so a step takes at least so long.
func (e *Estimate) SecondsInProducts(rate float64) float64 {
	return (e.stepFLOPs + e.againFLOPs + e.updateFLOPs) / rate
}

// SecondsAtStepRate is how long a step takes on a host that has made whole steps
// at rate model FLOP/s, updates and waiting included.
func (e *Estimate) SecondsAtStepRate(rate float64) float64 { return e.stepFLOPs / rate }

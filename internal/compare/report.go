package compare

import (
	"fmt"
	"math"

	"parallax/record"
)

// Trained is what a run came to.
type Trained struct {
	Run   Run
	ID    string // in the ledger
	Data  string // the data's digest
	Code  string // the program's version
	Curve Curve

	Layers []record.Layer // of the last look into them; empty: there was none
}

// Report is the whole comparison.
type Report struct {
	Budget  Budget           `json:"budget"`
	Peak    float64          `json:"peak_flops_per_s"` // of this host, in matrix products
	Seeds   int              `json:"seeds"`
	Data    string           `json:"data_sha256"`
	Code    []string         `json:"program_versions"`
	Metric  string           `json:"metric"`  // what the verdicts are about: "validation loss" or "smoothed training loss"
	Budgets map[Axis]float64 `json:"budgets"` // the amounts at which losses are compared
	Arms    []Outcome        `json:"arms"`
	Against []Difference     `json:"differences"`
	// Throughput holds, with each optimizer, the first arm against the others.
	Throughput []Throughput `json:"throughput"`
	// Verdicts are sentences, one for each axis and optimizer.
	Verdicts []Verdict `json:"verdicts"`
	Notes    []string  `json:"notes"`
}

// Outcome is what one arm came to, over the seeds.
type Outcome struct {
	Label         string  `json:"arm"`
	Optimizer     string  `json:"optimizer"`
	Parameters    int64   `json:"parameters"`
	FLOPsPerToken float64 `json:"flops_per_token"`
	ParametersOff float64 `json:"parameters_off"` // a fraction of the Parallax model's
	FLOPsOff      float64 `json:"flops_off"`
	Matched       string  `json:"matched"`
	Derivation    string  `json:"derivation"`
	Steps         int     `json:"steps"`

	Runs            []string      `json:"runs"` // ids, by seed
	TokensPerSecond Stat          `json:"tokens_per_s"`
	FLOPsPerSecond  Stat          `json:"flops_per_s"`
	PeakShare       Stat          `json:"peak_share"`
	RingShare       Stat          `json:"ring_share"` // of the seconds
	Validation      map[Axis]Stat `json:"validation_loss"`
	Training        map[Axis]Stat `json:"training_loss"` // smoothed
	Progress        map[Axis]Stat `json:"loss_progress"` // nats since the first step, per token, FLOP and second
	Layers          []LayerMeans  `json:"layers"`        // at the end; empty where no run was looked into
	Curves          []Curve       `json:"-"`
}

// loss is the quantity that verdicts are about.
func (o Outcome) loss(r *Report, a Axis) Stat {
	if r.Metric == validationLoss {
		return o.Validation[a]
	}
	return o.Training[a]
}

// Points are those of a curve that verdicts are about.
func (r *Report) Points(c Curve) []Point {
	if r.Metric == validationLoss {
		return c.Validation
	}
	return c.Training
}

const (
	validationLoss = "validation loss"
	trainingLoss   = "smoothed training loss"
)

// Judge compares runs that are all there, in the order of [Runs]. peak is the
// FLOP/s that the host reaches in matrix products.
func Judge(arms []Arm, b Budget, trained []Trained, peak float64) (*Report, error) {
	if err := checkSameData(trained); err != nil {
		return nil, err
	}
	r := &Report{Budget: b, Peak: peak, Data: trained[0].Data, Code: versions(trained), Seeds: len(trained) / len(arms), Metric: validationLoss, Budgets: map[Axis]float64{}}
	for _, t := range trained {
		if len(t.Curve.Validation) == 0 {
			r.Metric = trainingLoss
		}
	}
	for _, a := range Axes {
		r.Budgets[a] = commonBudget(trained, a)
	}
	for i := range arms {
		r.Arms = append(r.Arms, r.outcome(arms[i], ofArm(trained, i)))
	}
	r.compareArms()
	r.Notes = r.notes(arms[0].Spec)
	return r, nil
}

func checkSameData(trained []Trained) error {
	for _, t := range trained {
		if t.Data != trained[0].Data {
			return fmt.Errorf("runs %s and %s were trained on different data: what data.path names has changed meanwhile; compare in another folder with --dir", trained[0].ID, t.ID)
		}
	}
	return nil
}

// commonBudget is the largest amount that all runs have reached.
func commonBudget(trained []Trained, a Axis) float64 {
	least := math.Inf(1)
	for _, t := range trained {
		end := t.Curve.End()
		if n := len(t.Curve.Validation); n > 0 {
			end = t.Curve.Validation[n-1]
		}
		least = min(least, end.On(a))
	}
	return least
}

func ofArm(trained []Trained, arm int) []Trained {
	var runs []Trained
	for _, t := range trained {
		if t.Run.Arm == arm {
			runs = append(runs, t)
		}
	}
	return runs
}

func (r *Report) outcome(a Arm, runs []Trained) Outcome {
	o := Outcome{
		Label: a.Label, Optimizer: a.Optimizer, Parameters: a.Control.Parameters, FLOPsPerToken: a.Control.FLOPsPerToken,
		ParametersOff: a.Control.ParametersOff, FLOPsOff: a.Control.FLOPsOff, Matched: string(a.Control.Matched),
		Derivation: a.Control.Derivation, Steps: a.Spec.Train.Steps,
		Validation: map[Axis]Stat{}, Training: map[Axis]Stat{}, Progress: map[Axis]Stat{},
		Layers: layerMeans(runs),
	}
	for _, t := range runs {
		end := t.Curve.End()
		o.Runs = append(o.Runs, t.ID)
		o.Curves = append(o.Curves, t.Curve)
		o.TokensPerSecond.add(end.Tokens / end.Seconds)
		o.FLOPsPerSecond.add(end.FLOPs / end.Seconds)
		o.PeakShare.add(end.FLOPs / end.Seconds / r.Peak)
		o.RingShare.add(t.Curve.Ring / end.Seconds)
		for _, axis := range Axes {
			o.Validation[axis] = o.Validation[axis].with(At(t.Curve.Validation, axis, r.Budgets[axis]))
			o.Training[axis] = o.Training[axis].with(At(t.Curve.Training, axis, r.Budgets[axis]))
			o.Progress[axis] = o.Progress[axis].with(t.Curve.Progress(r.Points(t.Curve), axis, r.Budgets[axis]))
		}
	}
	return o
}

func (s *Stat) add(v float64) { s.Values = append(s.Values, v) }

func (s Stat) with(v float64) Stat {
	s.add(v)
	return s
}

package compare

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"slices"

	"parallax/internal/config"
	"parallax/model"
)

// Budget is what the arms have in common when they end.
type Budget string

const (
	EqualTokens  Budget = "tokens"  // as many steps for every arm
	EqualFLOPs   Budget = "flops"   // as many model FLOPs as the first arm
	EqualSeconds Budget = "seconds" // as long as the first arm, by trial runs
)

// ParseBudget finds a budget by its name.
func ParseBudget(name string) (Budget, error) {
	for _, b := range []Budget{EqualTokens, EqualFLOPs, EqualSeconds} {
		if string(b) == name {
			return b, nil
		}
	}
	return "", fmt.Errorf("budget %q: use tokens, flops or seconds", name)
}

// Arm is one of the things compared: a model and an optimizer.
type Arm struct {
	Label     string // "softmax+params", or "softmax+params/adamw" where optimizers are crossed
	Optimizer string
	Control   model.Control
	Spec      config.Spec // of the first seed
}

// Derive makes the arms: every control with every optimizer. m is the model of
// the spec, which has a Parallax mixer.
func Derive(spec config.Spec, m model.Config, controls, optimizers []string) ([]Arm, error) {
	if err := distinct("arms", controls); err != nil {
		return nil, err
	}
	if err := distinct("optimizers", optimizers); err != nil {
		return nil, err
	}
	var arms []Arm
	for _, optimizer := range optimizers {
		for _, name := range controls {
			control, err := model.Match(m, name, spec.Train.SeqLen)
			if err != nil {
				return nil, err
			}
			arm := Arm{Label: name, Optimizer: optimizer, Control: control, Spec: specOf(spec, control.Config, optimizer)}
			if len(optimizers) > 1 {
				arm.Label += "/" + optimizer
			}
			if err := config.Validate(arm.Spec); err != nil {
				return nil, fmt.Errorf("%s: %w", arm.Label, err)
			}
			arms = append(arms, arm)
		}
	}
	return arms, nil
}

func distinct(what string, names []string) error {
	if len(names) == 0 {
		return fmt.Errorf("no %s are given: there is nothing to compare", what)
	}
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("%s: %s is there twice", what, name)
		}
	}
	return nil
}

// specOf is the spec with a control's model, in what Match may have changed.
func specOf(spec config.Spec, m model.Config, optimizer string) config.Spec {
	spec.Model.Mixer = m.Mixer.String()
	spec.Model.QHeads = m.QHeads
	spec.Model.HeadDim = m.HeadDim
	spec.Model.FFN = m.FFN
	spec.Optimizer.Name = optimizer
	return spec
}

// trialSteps is long enough to know an arm's speed to a few per cent.
const trialSteps = 20

// Trial is a short run that shows how fast the arm is.
func (a Arm) Trial() config.Spec {
	s := a.Spec
	s.Train.Steps = trialSteps
	s.Schedule.Warmup = min(s.Schedule.Warmup, trialSteps)
	s.Eval.Every, s.Eval.Batches = 0, 1
	s.Checkpoint.Every, s.Diagnostics.Every = 0, 0
	return s
}

// SetSteps gives every arm the steps at which it has used what the first arm
// will have used. rates are tokens per second, by arm; only EqualSeconds looks at
// them.
func SetSteps(arms []Arm, b Budget, rates []float64) error {
	steps := float64(arms[0].Spec.Train.Steps)
	for i := range arms {
		scale := 1.0
		switch b {
		case EqualFLOPs:
			scale = arms[0].Control.FLOPsPerToken / arms[i].Control.FLOPsPerToken
		case EqualSeconds:
			scale = rates[i] / rates[0]
		}
		if !(scale > 0) || math.IsInf(scale, 0) {
			return fmt.Errorf("%s: its speed was not recorded, so it cannot be given as long as %s", arms[i].Label, arms[0].Label)
		}
		arms[i].Spec.Train.Steps = max(1, int(math.Round(scale*steps)))
	}
	return nil
}

// Run is one arm with one seed.
type Run struct {
	Arm  int // index among the arms
	Seed uint64
	Spec config.Spec
}

// Runs lists all runs, seed by seed, so that a host that becomes slower or faster
// meanwhile does so for all arms alike.
func Runs(arms []Arm, seeds int) []Run {
	var all []Run
	for s := range seeds {
		for i, a := range arms {
			spec := a.Spec
			spec.Seed += uint64(s)
			all = append(all, Run{Arm: i, Seed: spec.Seed, Spec: spec})
		}
	}
	return all
}

// Key names a comparison, in twelve hexadecimal digits, by the specs of its runs.
func Key(runs []Run) string {
	h := sha256.New()
	for _, r := range runs {
		io.WriteString(h, config.Hash(r.Spec))
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

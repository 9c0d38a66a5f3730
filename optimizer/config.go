package optimizer

import (
	"fmt"
	"math"
)

// Config chooses and tunes the update.
type Config struct {
	Name string // muon | adamw

	// Muon, for hidden matrices.
	LR           float64
	Momentum     float64
	Nesterov     bool
	Coefficients string // quintic | polar-express
	// Scale makes rates of matrices of different shape comparable:
	// spectral: sqrt(max(1, rows/cols)), rms: 0.2 sqrt(max(rows, cols)).
	Scale       string
	WeightDecay float64
	PerHead     bool // orthogonalise q, r, k and v head by head

	// AdamW, for everything else. Gains are not decayed.
	AdamLR          float64
	Beta1, Beta2    float64
	AdamEps         float64
	AdamWeightDecay float64

	ClipNorm float64 // of the whole gradient, 0: no clipping
}

// Check says what is wrong, naming the key of the run spec. Muon's settings are
// checked only where Muon is used.
func (c Config) Check() error {
	checks := c.adamChecks()
	switch c.Name {
	case "adamw":
	case "muon":
		if _, ok := coefficientSets[c.Coefficients]; !ok {
			return fmt.Errorf("optimizer.coefficients: %q is unknown: use quintic or polar-express", c.Coefficients)
		}
		if _, ok := scaleRules[c.Scale]; !ok {
			return fmt.Errorf("optimizer.scale: %q is unknown: use spectral or rms", c.Scale)
		}
		checks = append(checks,
			setting{"lr", c.LR, finite}, setting{"momentum", c.Momentum, below1}, setting{"weight_decay", c.WeightDecay, finite})
	default:
		return fmt.Errorf("optimizer.name: %q is unknown: use muon or adamw", c.Name)
	}
	for _, s := range checks {
		if !(s.value >= 0) || s.value >= s.below {
			return fmt.Errorf("optimizer.%s: %v is not in [0, %v)", s.key, s.value, s.below)
		}
	}
	if c.AdamEps == 0 {
		return fmt.Errorf("optimizer.adam_eps: 0 divides by zero where a gradient is zero: use 1e-8")
	}
	return nil
}

type setting struct {
	key          string
	value, below float64
}

const below1 = 1

var finite = math.Inf(1)

func (c Config) adamChecks() []setting {
	return []setting{
		{"adam_lr", c.AdamLR, finite}, {"beta1", c.Beta1, below1}, {"beta2", c.Beta2, below1},
		{"adam_eps", c.AdamEps, finite}, {"adam_weight_decay", c.AdamWeightDecay, finite},
		{"clip_norm", c.ClipNorm, finite},
	}
}

var scaleRules = map[string]func(rows, cols float64) float64{
	"spectral": func(rows, cols float64) float64 { return math.Sqrt(max(1, rows/cols)) },
	"rms":      func(rows, cols float64) float64 { return 0.2 * math.Sqrt(max(rows, cols)) },
}

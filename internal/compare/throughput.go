package compare

import "math"

// Throughput holds how fast one model trains against another, as ratios by seed:
// 2 is twice as fast.
type Throughput struct {
	Arm     string `json:"arm"`
	Control string `json:"control"`
	// TokensPerSecond counts tokens, whatever is learned from them.
	TokensPerSecond Stat `json:"tokens_per_s"`
	// PerFLOP and PerSecond count what is learned: the fall of the loss since the
	// first step, at equal model FLOPs and at equal seconds.
	PerFLOP   Stat `json:"loss_progress_per_flop"`
	PerSecond Stat `json:"loss_progress_per_second"`
}

// Progress is how far the loss of points, which are of the curve, has fallen since
// the curve's first step, per unit of an axis up to an amount: nats per token,
// FLOP or second. NaN where the points do not reach the amount.
func (c Curve) Progress(points []Point, a Axis, amount float64) float64 {
	if len(c.Training) == 0 {
		return math.NaN()
	}
	return (c.Training[0].Loss - At(points, a, amount)) / amount
}

// Rate is the mean rate of the whole run in tokens per second.
func (c Curve) Rate() float64 { return c.End().Tokens / c.End().Seconds }

// Pair holds one run against another, by their smoothed training losses at the
// largest amounts that both have reached.
func Pair(run, control Curve) (t Throughput, budgets map[Axis]float64) {
	both := []Trained{{Curve: run}, {Curve: control}}
	budgets = map[Axis]float64{}
	ratio := func(a Axis) (s Stat) {
		budgets[a] = commonBudget(both, a)
		s.add(run.Progress(run.Training, a, budgets[a]) / control.Progress(control.Training, a, budgets[a]))
		return s
	}
	t.TokensPerSecond.add(run.Rate() / control.Rate())
	t.PerFLOP, t.PerSecond = ratio(FLOPs), ratio(Seconds)
	return t, budgets
}

// throughput holds an arm against its control.
func (r *Report) throughput(arm, control Outcome) Throughput {
	return Throughput{
		Arm: arm.Label, Control: control.Label,
		TokensPerSecond: arm.TokensPerSecond.over(control.TokensPerSecond),
		PerFLOP:         arm.Progress[FLOPs].over(control.Progress[FLOPs]),
		PerSecond:       arm.Progress[Seconds].over(control.Progress[Seconds]),
	}
}

// over divides the values of two quantities by seed.
func (s Stat) over(other Stat) Stat {
	var q Stat
	for i, v := range s.Values {
		q.add(v / other.Values[i])
	}
	return q
}

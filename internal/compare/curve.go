package compare

import (
	"fmt"
	"math"
	"sort"

	"parallax/record"
)

// Axis is what losses are compared at equal amounts of.
type Axis string

const (
	Tokens  Axis = "tokens"
	FLOPs   Axis = "flops"
	Seconds Axis = "seconds"
)

// Axes are all of them, in the order in which they are reported.
var Axes = []Axis{Tokens, FLOPs, Seconds}

// Point is a loss after an amount of training.
type Point struct {
	Step    int64   `json:"step"`
	Tokens  float64 `json:"tokens"`
	FLOPs   float64 `json:"flops"` // model FLOPs
	Seconds float64 `json:"seconds"`
	Loss    float64 `json:"loss"` // nats per token
}

// On is the amount along an axis.
func (p Point) On(a Axis) float64 {
	switch a {
	case Tokens:
		return p.Tokens
	case FLOPs:
		return p.FLOPs
	default:
		return p.Seconds
	}
}

// Curve is the course of one run.
type Curve struct {
	Training   []Point // after every step, smoothed
	Validation []Point // after every evaluation
	Ring       float64 // seconds of all steps that nothing hid the ring in
}

// smoothing is the share of the past in the smoothed training loss: it looks back
// over some ten steps.
const smoothing = 0.9

// NewCurve adds up a run's steps, which must be there from the first on.
func NewCurve(steps []record.Step, evals []record.Eval) (Curve, error) {
	var c Curve
	var at Point
	sum, weight := 0.0, 0.0
	for i, s := range steps {
		if s.Step != int64(i)+1 {
			return Curve{}, fmt.Errorf("step %d is not in the ledger, but step %d is", i+1, s.Step)
		}
		sum = smoothing*sum + (1-smoothing)*s.Loss
		weight = smoothing*weight + (1 - smoothing)
		at.Step, at.Loss = s.Step, sum/weight
		at.Tokens += float64(s.Tokens)
		at.FLOPs += s.FLOPs
		at.Seconds += s.Seconds
		c.Ring += s.Reduce
		c.Training = append(c.Training, at)
	}
	for _, e := range evals {
		if e.Step < 1 || e.Step > int64(len(c.Training)) {
			return Curve{}, fmt.Errorf("the ledger has an evaluation after step %d, of %d", e.Step, len(c.Training))
		}
		p := c.Training[e.Step-1]
		p.Loss = e.Loss
		c.Validation = append(c.Validation, p)
	}
	return c, nil
}

// End is the last point of training.
func (c Curve) End() Point {
	if len(c.Training) == 0 {
		return Point{}
	}
	return c.Training[len(c.Training)-1]
}

// At reads points, ordered along the axis, at an amount: NaN outside of them.
func At(points []Point, a Axis, amount float64) float64 {
	i := sort.Search(len(points), func(i int) bool { return points[i].On(a) >= amount })
	switch {
	case i == len(points):
		return math.NaN()
	case points[i].On(a) == amount:
		return points[i].Loss
	case i == 0:
		return math.NaN()
	}
	p, q := points[i-1], points[i]
	share := (amount - p.On(a)) / (q.On(a) - p.On(a))
	return p.Loss + share*(q.Loss-p.Loss)
}

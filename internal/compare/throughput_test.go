package compare

import (
	"math"
	"testing"

	"parallax/record"
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-9*math.Abs(want)) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// falling is a curve of points at 0, 1, 2, ... times a step's costs, with a loss
// that falls from 4 in equal parts.
func falling(n int, fall, tokens, flops, seconds float64) Curve {
	var c Curve
	for i := 1; i <= n; i++ {
		x := float64(i)
		c.Training = append(c.Training, Point{Step: int64(i), Tokens: x * tokens, FLOPs: x * flops, Seconds: x * seconds, Loss: 4 - fall*(x-1)})
	}
	return c
}

// One run spends twice the FLOPs and four times the seconds of the other on a step
// in which it learns three times as much.
func TestPair(t *testing.T) {
	run, control := falling(21, 0.03, 100, 2, 4), falling(21, 0.01, 100, 1, 1)
	got, budgets := Pair(run, control)
	near(t, "budget of FLOPs", budgets[FLOPs], 21)
	near(t, "budget of seconds", budgets[Seconds], 21)
	near(t, "tokens/s", got.TokensPerSecond.Mean(), 0.25)
	near(t, "per FLOP", got.PerFLOP.Mean(), 0.03*(21.0/2-1)/(0.01*20))
	near(t, "per second", got.PerSecond.Mean(), 0.03*(21.0/4-1)/(0.01*20))
}

func TestThroughputOfAReport(t *testing.T) {
	r := judged(t, 3)
	if len(r.Throughput) != 2 || r.Throughput[0].Control != "softmax" || r.Throughput[1].Control != "softmax+params" {
		t.Fatalf("%+v", r.Throughput)
	}
	arm, control, got := r.Arms[0], r.Arms[1], r.Throughput[0]
	for seed := range 3 {
		near(t, "tokens/s", got.TokensPerSecond.Values[seed], arm.TokensPerSecond.Values[seed]/control.TokensPerSecond.Values[seed])
		c := control.Curves[seed]
		near(t, "the control's progress", control.Progress[FLOPs].Values[seed], (c.Training[0].Loss-control.Validation[FLOPs].Values[seed])/r.Budgets[FLOPs])
		near(t, "per FLOP", got.PerFLOP.Values[seed], arm.Progress[FLOPs].Values[seed]/control.Progress[FLOPs].Values[seed])
	}
}

func TestLayersOverSeeds(t *testing.T) {
	look := func(x float64) []record.Layer {
		return LastLook([]record.Layer{{Step: 1, Entropy: 99}, {Step: 2, Layer: 0, Entropy: x, Correction: math.NaN()}, {Step: 2, Layer: 1, Entropy: 3 * x}})
	}
	o := Outcome{Layers: layerMeans([]Trained{{Layers: look(1)}, {Layers: look(2)}})}
	if len(o.Layers) != 2 || o.Layers[1].Entropy.Mean() != 4.5 || !math.IsNaN(o.Layers[0].Correction.Mean()) {
		t.Errorf("%+v", o.Layers)
	}
	if s := o.OverLayers(func(l LayerMeans) Stat { return l.Entropy }); len(s.Values) != 2 || s.Values[0] != 2 || s.Values[1] != 4 {
		t.Errorf("over layers %v", s.Values)
	}
	if s := (Outcome{}).OverLayers(func(l LayerMeans) Stat { return l.Entropy }); !math.IsNaN(s.Mean()) {
		t.Errorf("without a look %v", s.Values)
	}
}

package web

import (
	"encoding/json"
	"math"
	"testing"

	"parallax/record"
)

func addSteps(s *series, from, to int64) {
	for n := from; n <= to; n++ {
		s.add(record.Step{Step: n, Loss: float64(n), Tokens: 10, Seconds: 2, Compute: 1, WireBytes: 7})
	}
}

// However long the run, the points are few, and what they add up to is the run.
func TestSeriesIsBoundedAndLosesNothing(t *testing.T) {
	for _, n := range []int64{1, 2, maxPoints - 1, maxPoints, maxPoints + 1, 10000, 100001} {
		var s series
		addSteps(&s, 1, n)
		if len(s.points) > maxPoints || n >= maxPoints && len(s.points) < maxPoints/2 {
			t.Errorf("%d points of %d steps", len(s.points), n)
		}
		var sum point
		for i, p := range s.points {
			sum = sum.join(p)
			if full := i < len(s.points)-1; full && p.steps != s.stride {
				t.Fatalf("point %d of %d steps has %d, the stride is %d", i, n, p.steps, s.stride)
			}
		}
		if int64(sum.steps) != n || sum.step != n || sum.tokens != 10*n || sum.seconds != float64(2*n) || sum.trained != 10*n ||
			sum.compute != float64(n) || sum.wire != 7*n || sum.loss != float64(n*(n+1)/2) {
			t.Errorf("%d steps add up to %+v", n, sum)
		}
	}
}

// A run that goes back to a checkpoint and computes steps again counts them once.
func TestSeriesGoesBack(t *testing.T) {
	var once, twice series
	addSteps(&once, 1, 50)
	addSteps(&twice, 1, 40)
	addSteps(&twice, 31, 50)
	a, err := json.Marshal(once.columns())
	must(t, err)
	b, err := json.Marshal(twice.columns())
	must(t, err)
	if string(a) != string(b) {
		t.Errorf("once\n%s\ntwice\n%s", a, b)
	}
}

func TestSeriesOfALossThatIsNoNumber(t *testing.T) {
	var s series
	s.add(record.Step{Step: 1, Loss: math.NaN(), Seconds: 1})
	s.add(record.Step{Step: 2, Loss: math.Inf(1), Seconds: 0})
	s.add(record.Step{Step: 3, Loss: 2.5, Seconds: 1})
	text, err := json.Marshal(s.columns().Loss)
	must(t, err)
	if string(text) != "[null,null,2.5]" {
		t.Errorf("got %s", text)
	}
	if text, err = json.Marshal(s.columns()); err != nil || !json.Valid(text) {
		t.Errorf("%s, %v", text, err)
	}
}

func TestEvalsAreBounded(t *testing.T) {
	var e evals
	for n := range int64(10 * maxEvals) {
		e.add(n, float64(n))
	}
	if len(e.Step) > maxEvals || len(e.Step) < maxEvals/2 || e.Step[len(e.Step)-1] != 10*maxEvals-1 {
		t.Errorf("%d evaluations, the last of step %v", len(e.Step), e.Step[len(e.Step)-1])
	}
	e.add(5, 0.5)
	for i, s := range e.Step {
		if s > 5 || s == 5 && e.Loss[i] != 0.5 {
			t.Errorf("after going back to step 5: step %v has %v", s, e.Loss[i])
		}
	}
}

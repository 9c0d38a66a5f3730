package compare

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"parallax/internal/config"
	"parallax/model"
	"parallax/record"
)

func quick(t *testing.T) (config.Spec, model.Config) {
	t.Helper()
	loaded, err := config.Load(config.Sources{Preset: "quick"})
	if err != nil {
		t.Fatal(err)
	}
	m := loaded.Spec.Model
	return loaded.Spec, model.Config{
		Vocabulary: 257, Layers: m.Layers, Width: m.Width, QHeads: m.QHeads, KVHeads: m.KVHeads, HeadDim: m.HeadDim, FFN: m.FFN,
		Mixer: model.ParallaxAttention, QKNorm: m.QKNorm, TiedHead: m.TiedHead, RoPETheta: m.RoPETheta, NormEps: m.NormEps, InitStd: m.InitStd,
	}
}

func derive(t *testing.T, controls, optimizers []string) []Arm {
	t.Helper()
	spec, m := quick(t)
	arms, err := Derive(spec, m, controls, optimizers)
	if err != nil {
		t.Fatal(err)
	}
	return arms
}

func TestDerive(t *testing.T) {
	arms := derive(t, model.Controls(), []string{"muon", "adamw"})
	if len(arms) != 10 || arms[1].Label != "softmax/muon" || arms[6].Label != "softmax/adamw" || arms[6].Spec.Optimizer.Name != "adamw" {
		t.Errorf("%d arms", len(arms))
	}
	for _, a := range arms {
		s := a.Spec.Model
		if s.Mixer != a.Control.Config.Mixer.String() || s.FFN != a.Control.Config.FFN || s.QHeads != a.Control.Config.QHeads || s.HeadDim != a.Control.Config.HeadDim {
			t.Errorf("%s: the spec has %+v, the control %+v", a.Label, s, a.Control.Config)
		}
	}
	if label := derive(t, []string{"softmax"}, []string{"muon"})[0].Label; label != "softmax" {
		t.Errorf("one optimizer: %s", label)
	}
	spec, m := quick(t)
	for want, lists := range map[string][2][]string{
		"nothing to compare": {nil, {"muon"}},
		"softmax is there":   {{"softmax", "softmax"}, {"muon"}},
		"no control":         {{"sotfmax"}, {"muon"}},
		"optimizer.name":     {{"softmax"}, {"sgd"}},
	} {
		if _, err := Derive(spec, m, lists[0], lists[1]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", lists, err, want)
		}
	}
}

func TestSetSteps(t *testing.T) {
	arms := derive(t, []string{"parallax", "softmax"}, []string{"muon"})
	if err := SetSteps(arms, EqualTokens, nil); err != nil || arms[1].Spec.Train.Steps != 120 {
		t.Errorf("tokens: %d steps, %v", arms[1].Spec.Train.Steps, err)
	}
	if err := SetSteps(arms, EqualFLOPs, nil); err != nil {
		t.Fatal(err)
	}
	spent := func(a Arm) float64 { return float64(a.Spec.Train.Steps) * a.Control.FLOPsPerToken }
	if off := spent(arms[1])/spent(arms[0]) - 1; math.Abs(off) > 0.005 || arms[1].Spec.Train.Steps <= 120 {
		t.Errorf("FLOPs: %d steps, %.3f off", arms[1].Spec.Train.Steps, off)
	}
	arms[1].Spec.Train.Steps = 0
	if err := SetSteps(arms, EqualSeconds, []float64{1000, 1250}); err != nil || arms[1].Spec.Train.Steps != 150 {
		t.Errorf("seconds: %d steps, %v", arms[1].Spec.Train.Steps, err)
	}
	if err := SetSteps(arms, EqualSeconds, []float64{1000, 0}); err == nil {
		t.Error("no rate: taken")
	}
}

func TestRunsGoSeedBySeed(t *testing.T) {
	runs := Runs(derive(t, []string{"parallax", "softmax"}, []string{"muon"}), 2)
	var order []string
	hashes := map[string]bool{}
	for _, r := range runs {
		order = append(order, r.Spec.Model.Mixer)
		hashes[config.Hash(r.Spec)] = true
	}
	if got := strings.Join(order, " "); got != "parallax softmax parallax softmax" || runs[0].Seed == runs[2].Seed || len(hashes) != 4 || Key(runs) == Key(runs[:3]) {
		t.Errorf("order %s, seeds %d and %d, %d specs", got, runs[0].Seed, runs[2].Seed, len(hashes))
	}
}

// course is a made-up run of 1000 tokens a step: its loss falls by a straight line
// from 5 to loss, in steps of flops and seconds.
func course(steps int, loss, flops, seconds float64) ([]record.Step, []record.Eval) {
	var all []record.Step
	var evals []record.Eval
	for i := 1; i <= steps; i++ {
		value := 5 + (loss-5)*float64(i)/float64(steps)
		all = append(all, record.Step{Step: int64(i), Loss: value, Tokens: 1000, FLOPs: flops, Seconds: seconds, Reduce: seconds / 10})
		if i%5 == 0 {
			evals = append(evals, record.Eval{Step: int64(i), Loss: value})
		}
	}
	return all, evals
}

func curve(t *testing.T, steps int, loss, flops, seconds float64) Curve {
	t.Helper()
	c, err := NewCurve(course(steps, loss, flops, seconds))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCurve(t *testing.T) {
	c := curve(t, 20, 3, 2e6, 0.5)
	if end := c.End(); end.Tokens != 20_000 || end.FLOPs != 4e7 || end.Seconds != 10 || math.Abs(c.Ring-1) > 1e-12 {
		t.Errorf("end %+v, ring %g", end, c.Ring)
	}
	if first := c.Training[0].Loss; math.Abs(first-4.9) > 1e-12 {
		t.Errorf("the first smoothed loss is %g, not the first loss", first)
	}
	for amount, want := range map[float64]float64{5000: 4.5, 7500: 4.25, 20_000: 3} {
		if got := At(c.Validation, Tokens, amount); math.Abs(got-want) > 1e-9 {
			t.Errorf("at %g tokens %g, want %g", amount, got, want)
		}
	}
	if got := At(c.Validation, Seconds, 3.75); math.Abs(got-4.25) > 1e-9 {
		t.Errorf("at 3.75 s %g", got)
	}
	for _, outside := range []float64{4999, 20_001} {
		if got := At(c.Validation, Tokens, outside); !math.IsNaN(got) {
			t.Errorf("at %g tokens, outside: %g", outside, got)
		}
	}
}

func TestCurveRefusesGaps(t *testing.T) {
	steps, evals := course(10, 3, 1, 1)
	if _, err := NewCurve(append(steps[:4:4], steps[5:]...), nil); err == nil || !strings.Contains(err.Error(), "step 5 is not in the ledger") {
		t.Errorf("a gap: %v", err)
	}
	if _, err := NewCurve(steps[:7], evals); err == nil {
		t.Error("an evaluation behind the last step: taken")
	}
}

func TestStat(t *testing.T) {
	s := Stat{[]float64{1, 2, 3}}
	if s.Mean() != 2 || s.Deviation() != 1 || s.FromZero() { // 2 < 4.303 / sqrt(3)
		t.Errorf("mean %g, deviation %g, from zero %t", s.Mean(), s.Deviation(), s.FromZero())
	}
	if !(Stat{[]float64{2, 2.1, 2.2}}).FromZero() || (Stat{[]float64{2}}).FromZero() {
		t.Error("from zero")
	}
	// Student's t from tables.
	for freedom, want := range map[int]float64{1: 12.706, 10: 2.228, 20: 2.086, 60: 2.000, 1000: 1.962} {
		if got := student95(freedom); math.Abs(got-want) > 0.001 {
			t.Errorf("t of %d degrees of freedom: %g, want %g", freedom, got, want)
		}
	}
	text, err := json.Marshal(Stat{[]float64{2}})
	if err != nil || string(text) != `{"deviation":null,"mean":2,"values":[2]}` {
		t.Errorf("%s, %v", text, err)
	}
}

// judged compares made-up runs of three arms: the second is worse by 0.1, with
// little spread, and takes half the FLOPs; the third differs by nothing but spread.
func judged(t *testing.T, seeds int) *Report {
	t.Helper()
	arms := derive(t, []string{"parallax", "softmax", "softmax+params"}, []string{"muon"})
	var trained []Trained
	for i, r := range Runs(arms, seeds) {
		seed := float64(i / len(arms))
		c := []Curve{
			curve(t, 20, 3+0.05*seed, 2e6, 0.5),
			curve(t, 20, 3.1+0.051*seed, 1e6, 0.25),
			curve(t, 20, 3+0.05*seed*(1-seed), 2e6, 0.5),
		}[r.Arm]
		trained = append(trained, Trained{Run: r, ID: "run", Data: "d", Code: "c", Curve: c})
	}
	report, err := Judge(arms, EqualTokens, trained, 1e7)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestJudge(t *testing.T) {
	r := judged(t, 3)
	for axis, want := range map[Axis]float64{Tokens: 20_000, FLOPs: 2e7, Seconds: 5} {
		if r.Budgets[axis] != want {
			t.Errorf("%s are compared at %g, want %g", axis, r.Budgets[axis], want)
		}
	}
	if r.Data != "d" || len(r.Code) != 1 || r.Code[0] != "c" {
		t.Errorf("data %s, program %v", r.Data, r.Code)
	}
	parallax, softmax := r.Arms[0], r.Arms[1]
	if got := parallax.Validation[Tokens]; math.Abs(got.Mean()-3.05) > 1e-9 || math.Abs(got.Deviation()-0.05) > 1e-9 {
		t.Errorf("parallax at equal tokens: %g ± %g", got.Mean(), got.Deviation())
	}
	// At half its FLOPs a straight line is half-way from 5.
	if got := parallax.Validation[FLOPs].Mean(); math.Abs(got-4.025) > 1e-9 {
		t.Errorf("parallax at equal FLOPs: %g", got)
	}
	if got := softmax.TokensPerSecond; math.Abs(got.Mean()-4000) > 1e-9 || got.Deviation() > 1e-9 {
		t.Errorf("softmax makes %g tokens/s", got.Mean())
	}
	if got := softmax.PeakShare.Mean(); math.Abs(got-0.4) > 1e-9 {
		t.Errorf("softmax reaches %g of the peak", got)
	}
	if got := softmax.RingShare.Mean(); math.Abs(got-0.1) > 1e-9 {
		t.Errorf("softmax is %g of its time in the ring", got)
	}
}

func TestVerdicts(t *testing.T) {
	r := judged(t, 3)
	if len(r.Verdicts) != 3 || len(r.Against) != 6 {
		t.Fatalf("%d verdicts, %d differences", len(r.Verdicts), len(r.Against))
	}
	want := "At equal tokens (20 k) parallax's validation loss is 0.1010 ± 0.0010 lower than softmax's and " +
		"no different from softmax+params's beyond the spread (0.0833 ± 0.1041 higher) (3 seeds)."
	if got := r.Verdicts[0].Sentence; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := r.Verdicts[1].Sentence; !strings.Contains(got, "At equal model FLOPs (20 MFLOP)") || !strings.Contains(got, "higher than softmax's") {
		t.Errorf("FLOPs: %s", got)
	}
	if got := r.Verdicts[2].Sentence; !strings.Contains(got, "At equal seconds (5.0 s)") {
		t.Errorf("seconds: %s", got)
	}
	if got := judged(t, 1).Verdicts[0].Sentence; !strings.Contains(got, "0.1000 lower than softmax's") || !strings.Contains(got, "1 seed, so nothing is known") {
		t.Errorf("one seed: %s", got)
	}
	if _, err := json.Marshal(judged(t, 1)); err != nil {
		t.Error(err)
	}
}

func TestJudgeNeedsOneDataSet(t *testing.T) {
	arms := derive(t, []string{"parallax", "softmax"}, []string{"muon"})
	runs := Runs(arms, 1)
	c := curve(t, 20, 3, 1, 1)
	_, err := Judge(arms, EqualTokens, []Trained{{Run: runs[0], ID: "a", Data: "one", Curve: c}, {Run: runs[1], ID: "b", Data: "two", Curve: c}}, 1e7)
	if err == nil || !strings.Contains(err.Error(), "different data") {
		t.Errorf("two data sets: %v", err)
	}
}

func TestNotes(t *testing.T) {
	arms := derive(t, []string{"parallax", "softmax"}, []string{"muon"})
	for i := range arms {
		arms[i].Spec.Schedule.Name, arms[i].Spec.Data.Validation = "wsd", 0
	}
	var trained []Trained
	for i, r := range Runs(arms, 1) {
		c := curve(t, 20, 3, 1, 1)
		c.Validation = nil
		trained = append(trained, Trained{Run: r, ID: "id", Data: "d", Code: []string{"v1", "v2"}[i], Curve: c})
	}
	r, err := Judge(arms, EqualTokens, trained, 1e7)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(r.Notes, "\n")
	for _, want := range []string{"--budget flops or seconds", "no data is held out", "different versions of the program (v1, v2)"} {
		if !strings.Contains(text, want) {
			t.Errorf("no note says %q:\n%s", want, text)
		}
	}
	if !strings.Contains(r.Verdicts[0].Sentence, "smoothed training loss") {
		t.Errorf("without validation: %s", r.Verdicts[0].Sentence)
	}
}

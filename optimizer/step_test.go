package optimizer

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"parallax/kernels"
)

// plain is the whole step on the host, written from the formulas.
type plain struct {
	c          Config
	p, m, u, v []float64 // flat; m momentum or first moment
}

func newPlain(c Config) *plain {
	return &plain{c, flat(someParams(), someSize, 100), make([]float64, someSize), make([]float64, someSize), make([]float64, someSize)}
}

func (s *plain) step(step int, scale float64) {
	g := flat(someParams(), someSize, uint64(step))
	if norm := math.Sqrt(dot(g, g)); s.c.ClipNorm > 0 && norm > s.c.ClipNorm {
		for i := range g {
			g[i] *= s.c.ClipNorm / norm
		}
	}
	for _, p := range someParams() {
		if s.c.Name == "muon" && p.Kind == Hidden {
			s.muon(p, g, scale)
		} else {
			s.adam(p, g, step, scale)
		}
	}
}

func (s *plain) muon(p Param, g []float64, scale float64) {
	for i := p.Offset; i < p.end(); i++ {
		s.m[i] = s.c.Momentum*s.m[i] + g[i]
		s.u[i] = s.m[i]
		if s.c.Nesterov {
			s.u[i] = g[i] + s.c.Momentum*s.m[i]
		}
	}
	blocks := 1
	if s.c.PerHead && p.Heads > 1 {
		blocks = p.Heads
	}
	rows, n := p.Rows/blocks, p.Len()/blocks
	rate := scale * s.c.LR
	factor := math.Sqrt(math.Max(1, float64(rows)/float64(p.Cols)))
	if s.c.Scale == "rms" {
		factor = 0.2 * math.Sqrt(math.Max(float64(rows), float64(p.Cols)))
	}
	for b := range blocks {
		lo := p.Offset + b*n
		o := plainNewtonSchulz(s.c.Coefficients, dense{rows, p.Cols, slices.Clone(s.u[lo : lo+n])})
		for i, x := range o.x {
			s.p[lo+i] = s.p[lo+i]*(1-rate*s.c.WeightDecay) - rate*factor*x
		}
	}
}

func (s *plain) adam(p Param, g []float64, step int, scale float64) {
	lr, decay := scale*s.c.AdamLR, s.c.AdamWeightDecay
	if p.Kind == Gain {
		decay = 0
	}
	for i := p.Offset; i < p.end(); i++ {
		s.m[i] = s.c.Beta1*s.m[i] + (1-s.c.Beta1)*g[i]
		s.v[i] = s.c.Beta2*s.v[i] + (1-s.c.Beta2)*g[i]*g[i]
		m := s.m[i] / (1 - math.Pow(s.c.Beta1, float64(step)))
		v := s.v[i] / (1 - math.Pow(s.c.Beta2, float64(step)))
		s.p[i] = s.p[i]*(1-lr*decay) - lr*m/(math.Sqrt(v)+s.c.AdamEps)
	}
}

// settings are the configs that take different ways through the code.
func settings() map[string]Config {
	change := func(f func(*Config)) Config {
		c := muonConfig()
		f(&c)
		return c
	}
	return map[string]Config{
		"muon":             muonConfig(),
		"polar express":    change(func(c *Config) { c.Coefficients = "polar-express" }),
		"rms scale":        change(func(c *Config) { c.Scale = "rms" }),
		"plain momentum":   change(func(c *Config) { c.Nesterov = false }),
		"per head":         change(func(c *Config) { c.PerHead = true }),
		"per head, rms":    change(func(c *Config) { c.PerHead, c.Scale = true, "rms" }),
		"no clipping":      change(func(c *Config) { c.ClipNorm = 0 }),
		"clip above":       change(func(c *Config) { c.ClipNorm = 1e6 }),
		"no weight decay":  change(func(c *Config) { c.WeightDecay, c.AdamWeightDecay = 0, 0 }),
		"adamw everywhere": change(func(c *Config) { c.Name = "adamw" }),
	}
}

func TestStepsAgreeWithTheFormulas(t *testing.T) {
	for name, c := range settings() {
		t.Run(name, func(t *testing.T) {
			want := newPlain(c)
			exact, float := newRig(t, oracle(t), c), newRig(t, cpu(t), c)
			for step := 1; step <= 3; step++ {
				scale := 1 / float64(step)
				want.step(step, scale)
				exact.step(t, step, scale)
				float.step(t, step, scale)
			}
			if e := relativeError(read(t, exact.be, exact.target.Params), want.p); !(e < 1e-12) {
				t.Errorf("oracle: parameters differ by %g", e)
			}
			if e := relativeError(read(t, float.be, float.target.Params), want.p); !(e < 1e-5) {
				t.Errorf("cpu: parameters differ by %g", e)
			}
		})
	}
}

func TestGradSquaresIsBeforeClipping(t *testing.T) {
	r := newRig(t, oracle(t), muonConfig())
	r.setGrads(t, 1)
	r.Begin()
	g := flat(someParams(), someSize, 1)
	if got := read(t, r.be, r.GradSquares())[0]; math.Abs(got-dot(g, g)) > 1e-9 {
		t.Errorf("%g, want %g", got, dot(g, g))
	}
}

func TestGapsStayZero(t *testing.T) {
	r := newRig(t, cpu(t), muonConfig())
	for step := 1; step <= 2; step++ {
		r.step(t, step, 1)
	}
	params, at := read(t, r.be, r.target.Params), 0
	for _, p := range append(someParams(), Param{Offset: someSize}) {
		for ; at < p.Offset; at++ {
			if params[at] != 0 {
				t.Errorf("the gap at %d holds %g", at, params[at])
			}
		}
		at = p.end()
	}
}

// ranks are the processes of one run, with gradients already reduced.
type ranks []rig

func newRanks(t *testing.T, c Config, world int) ranks {
	be := cpu(t)
	all := make(ranks, world)
	for rank := range all {
		all[rank] = newRig(t, be, c)
	}
	all.deal(t)
	return all
}

// deal makes the plan for as many ranks as there are.
func (all ranks) deal(t *testing.T) {
	p := plan(t, all[0].cfg, len(all))
	for rank, r := range all {
		r.SetPlan(p, rank)
	}
}

func (all ranks) begin(t *testing.T, step int) {
	for _, r := range all {
		r.setGrads(t, step)
		r.Begin()
	}
}

// gather copies every owner's part to everybody, as an all-gather does.
func (all ranks) gather(t *testing.T) {
	bounds := all[0].plan.Bounds()
	for owner, from := range all {
		lo, hi := bounds[owner], bounds[owner+1]
		if lo == hi {
			continue
		}
		part := read(t, from.be, from.Updates().Slice(lo, hi))
		for _, to := range all {
			write(t, to.be, to.Updates().Slice(lo, hi), part)
		}
	}
}

func (all ranks) step(t *testing.T, step int) {
	all.begin(t, step)
	all.gather(t)
	for _, r := range all {
		r.Finish(step, 1)
	}
}

func TestAnyWorldGivesTheSameBits(t *testing.T) {
	for _, perHead := range []bool{false, true} {
		c := muonConfig()
		c.PerHead = perHead
		single := newRig(t, cpu(t), c)
		for step := 1; step <= 3; step++ {
			single.step(t, step, 1)
		}
		want := single.contents(t)
		for _, world := range worlds {
			all := newRanks(t, c, world)
			for step := 1; step <= 3; step++ {
				all.step(t, step)
			}
			for rank, r := range all {
				if !slices.Equal(r.contents(t), want) {
					t.Errorf("per head %t: rank %d of %d differs from a single process", perHead, rank, world)
				}
			}
		}
	}
}

// TestBrokenGatherCanBeRetriedInAnotherWorld: two of four ranks leave after Begin.
func TestBrokenGatherCanBeRetriedInAnotherWorld(t *testing.T) {
	single := newRig(t, cpu(t), muonConfig())
	all := newRanks(t, muonConfig(), 4)
	for step := 1; step <= 2; step++ {
		single.step(t, step, 1)
		all.step(t, step)
	}
	before := all[0].contents(t)
	all.begin(t, 3)
	for rank, r := range all {
		if !slices.Equal(r.contents(t), before) {
			t.Errorf("rank %d: Begin changed parameters or state", rank)
		}
		if !slices.Equal(read(t, r.be, r.target.Grads), roundedGradient(3)) {
			t.Errorf("rank %d: Begin changed the gradient", rank)
		}
	}
	left := all[1:3]
	left.deal(t)
	left.step(t, 3)
	single.step(t, 3, 1)
	for rank, r := range left {
		if !slices.Equal(r.contents(t), single.contents(t)) {
			t.Errorf("rank %d differs from a single process", rank)
		}
	}
}

func roundedGradient(step int) []float64 {
	g := flat(someParams(), someSize, uint64(step))
	for i, x := range g {
		g[i] = float64(float32(x))
	}
	return g
}

func TestWorkingCopyFollows(t *testing.T) {
	for name, c := range settings() {
		r := newRig(t, mixed{oracle(t)}, c)
		start := read(t, r.be, r.target.Params)
		for step := 1; step <= 2; step++ {
			r.step(t, step, 1)
		}
		params, work := read(t, r.be, r.target.Params), read(t, r.be, r.target.Work)
		for _, p := range someParams() {
			if slices.Equal(start[p.Offset:p.end()], params[p.Offset:p.end()]) {
				t.Errorf("%s: %s did not move", name, p.Name)
			}
		}
		for i, x := range params {
			if float64(kernels.FromBF16(kernels.ToBF16(float32(x)))) != work[i] {
				t.Fatalf("%s: element %d is %g, in the working copy %g", name, i, x, work[i])
			}
		}
	}
}

func ExamplePlan_Bounds() {
	p, _ := NewPlan(muonConfig(), someParams(), 2)
	fmt.Println(p.Bounds())
	// Output: [0 112 256]
}

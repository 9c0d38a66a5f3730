package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"parallax/kernels"
)

// variants are the configs that take different ways through the code.
func variants() map[string]struct {
	config Config
	packed bool
} {
	type variant = struct {
		config Config
		packed bool
	}
	v := map[string]variant{}
	for _, mixer := range []Mixer{ParallaxAttention, SoftmaxAttention} {
		for _, qkNorm := range []bool{true, false} {
			c := tiny()
			c.Mixer, c.QKNorm, c.TiedHead = mixer, qkNorm, qkNorm
			v[fmt.Sprintf("%s qk_norm=%t tied=%t", mixer, qkNorm, qkNorm)] = variant{c, false}
		}
	}
	c := tiny()
	c.Window = 3
	v["window, untied"] = variant{c, false}
	c.Window = 0
	v["packed"] = variant{c, true}
	c.Window, c.QKNorm, c.TiedHead = 3, false, true
	v["packed, window, tied"] = variant{c, true}
	c.QHeads, c.KVHeads, c.FFN, c.HeadDim = 3, 1, 7, 2
	v["narrow attention"] = variant{c, false}
	return v
}

// TestGradientAgainstFiniteDifferences holds the whole model's gradient against
// central differences of the loss in float64: along a random direction within each
// parameter, and in its coordinate of the largest gradient.
func TestGradientAgainstFiniteDifferences(t *testing.T) {
	const batch, seqLen, scale = 2, 5, 0.7
	for name, v := range variants() {
		t.Run(name, func(t *testing.T) {
			m := newModel(t, oracle(t), v.config, batch, seqLen)
			b := randomTokens(v.config, batch, seqLen, v.packed).on(t, m.be)
			grad := gradients(t, m, b, scale)
			loss := lossAlong(t, m, b, scale)
			rng := rand.New(rand.NewPCG(5, 6))
			for _, p := range m.Layout().Params {
				g := grad[p.Offset : p.Offset+p.Len()]
				direction := make([]float64, p.Len())
				for i := range direction {
					direction[i] = rng.NormFloat64()
				}
				checkDerivative(t, p.Name+" along a direction", g, direction, loss, p)
				checkDerivative(t, p.Name+" in one coordinate", g, largestCoordinate(g), loss, p)
			}
		})
	}
}

// TestRecomputationChangesNoBit compares gradients and losses with and without it.
func TestRecomputationChangesNoBit(t *testing.T) {
	for device := range devices {
		for name, v := range variants() {
			t.Run(device+"/"+name, func(t *testing.T) { recomputes(t, open(t, device), v.config, v.packed) })
		}
	}
}

func recomputes(t *testing.T, be kernels.Backend, c Config, packed bool) {
	const batch, seqLen, scale = 2, 9, 0.7
	c.Layers = 3
	b := randomTokens(c, batch, seqLen, packed).on(t, be)
	kept := newModel(t, be, c, batch, seqLen)
	c.Recompute = true
	again := newModel(t, be, c, batch, seqLen)
	if want, got := gradients(t, kept, b, scale), gradients(t, again, b, scale); !slices.Equal(want, got) {
		t.Errorf("gradients differ by %g", relativeError(got, want))
	}
	if !slices.Equal(read(t, be, kept.Losses()), read(t, be, again.Losses())) {
		t.Error("losses differ")
	}
}

// lossAlong returns scale * sum of losses at the model's parameters + step *
// direction within p.
func lossAlong(t *testing.T, m *Model, b Batch, scale float64) func(p Param, direction []float64, step float64) float64 {
	return func(p Param, direction []float64, step float64) float64 {
		view := m.Layout().View(m.Params(), p).Buf
		at := read(t, m.be, view)
		moved := make([]float64, len(at))
		for i := range at {
			moved[i] = at[i] + step*direction[i]
		}
		write(t, m.be, view, moved)
		m.Evaluate(b)
		loss := scale * sum(read(t, m.be, m.Losses()))
		write(t, m.be, view, at)
		return loss
	}
}

func largestCoordinate(g []float64) []float64 {
	best := 0
	for i := range g {
		if math.Abs(g[i]) > math.Abs(g[best]) {
			best = i
		}
	}
	e := make([]float64, len(g))
	e[best] = 1
	return e
}

// checkDerivative compares the gradient along a direction with a difference
// quotient of fourth order. The error is relative to |g| |direction|, as the
// directional derivative itself may happen to be near zero.
func checkDerivative(t *testing.T, what string, g, direction []float64, loss func(Param, []float64, float64) float64, p Param) {
	t.Helper()
	const h = 2e-4
	analytic := 0.0
	for i := range g {
		analytic += g[i] * direction[i]
	}
	near := loss(p, direction, h) - loss(p, direction, -h)
	far := loss(p, direction, 2*h) - loss(p, direction, -2*h)
	numeric := (8*near - far) / (12 * h)
	bound := math.Max(math.Abs(analytic), math.Abs(numeric))
	if bound < 1e-3 {
		t.Errorf("%s: the derivative %g is too small to tell", what, analytic)
	}
	if math.Abs(analytic-numeric) > 1e-6*bound {
		t.Errorf("%s: gradient %.12g, differences %.12g", what, analytic, numeric)
	}
}

func TestCPUAgreesWithOracle(t *testing.T) {
	for name, v := range variants() {
		t.Run(name, func(t *testing.T) {
			const batch, seqLen = 2, 9
			var grads, losses [2][]float64
			for i, be := range []kernels.Backend{oracle(t), open(t, "cpu")} {
				m := newModel(t, be, v.config, batch, seqLen)
				b := randomTokens(v.config, batch, seqLen, v.packed).on(t, be)
				grads[i] = gradients(t, m, b, 1)
				losses[i] = read(t, be, m.Losses())
			}
			if e := relativeError(losses[1], losses[0]); e > 1e-4 {
				t.Errorf("losses differ by %g", e)
			}
			for _, p := range NewLayout(v.config).Params {
				lo, hi := p.Offset, p.Offset+p.Len()
				if e := relativeError(grads[1][lo:hi], grads[0][lo:hi]); e > 1e-4 {
					t.Errorf("gradient of %s differs by %g", p.Name, e)
				}
			}
		})
	}
}

func TestMicroBatchesAddUpToOneBatch(t *testing.T) {
	const seqLen = 6
	be := oracle(t)
	whole, half := newModel(t, be, tiny(), 4, seqLen), newModel(t, be, tiny(), 2, seqLen)
	all := randomTokens(tiny(), 4, seqLen, true)
	want := gradients(t, whole, all.on(t, be), 0.5)

	half.ZeroGrads()
	var losses []float64
	for lo := 0; lo < 4; lo += 2 {
		half.ForwardBackward(all.slice(lo, lo+2, seqLen).on(t, be), 0.5, nil)
		losses = append(losses, read(t, be, half.Losses())...)
	}
	if e := relativeError(read(t, be, half.Grads()), want); e > 1e-12 {
		t.Errorf("accumulated gradients differ by %g", e)
	}
	if e := relativeError(losses, read(t, be, whole.Losses())); e > 1e-12 {
		t.Errorf("losses differ by %g", e)
	}
}

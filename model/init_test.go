package model

import (
	"math"
	"slices"
	"strings"
	"testing"

	"parallax/kernels"
)

func TestInitIsNormalWithTheRightSpread(t *testing.T) {
	c := tiny()
	c.Vocabulary, c.Width, c.FFN, c.Layers = 300, 64, 80, 3
	m, err := New(oracle(t), c, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Init(1); err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Layout().Params {
		x := read(t, m.be, m.Layout().View(m.Params(), p).Buf)
		if p.Kind == Norm {
			if slices.Min(x) != 1 || slices.Max(x) != 1 {
				t.Errorf("%s is not 1", p.Name)
			}
			continue
		}
		std := c.InitStd
		if strings.Contains(p.Name, "o_proj") || strings.Contains(p.Name, "down_proj") {
			std /= math.Sqrt(6)
		}
		checkNormal(t, p.Name, x, std)
	}
}

// checkNormal holds mean, variance and fourth moment within five standard errors.
func checkNormal(t *testing.T, what string, x []float64, std float64) {
	t.Helper()
	var m1, m2, m4 float64
	n := float64(len(x))
	for _, v := range x {
		z := v / std
		m1 += z / n
		m2 += z * z / n
		m4 += z * z * z * z / n
	}
	for _, moment := range []struct{ got, want, variance float64 }{{m1, 0, 1}, {m2, 1, 2}, {m4, 3, 96}} {
		if math.Abs(moment.got-moment.want) > 5*math.Sqrt(moment.variance/n) {
			t.Errorf("%s: a moment is %g, want %g", what, moment.got, moment.want)
		}
	}
}

// TestProbeInitSetsTheSizeOfR looks at what r is made of: the gain of its norm, or
// W_R without one, beside what q is made of.
func TestProbeInitSetsTheSizeOfR(t *testing.T) {
	be := oracle(t)
	for _, qkNorm := range []bool{true, false} {
		for init, want := range map[ProbeInit]float64{UnitProbe: 1, ScaledProbe: 1 / math.Sqrt(6), NoProbe: 0} {
			c := tiny()
			c.QKNorm, c.ProbeInit = qkNorm, init
			got := initialSize(t, be, c, "r") / initialSize(t, be, c, "q")
			if math.Abs(got-want) > 0.15*want {
				t.Errorf("qk_norm=%t, probe_init=%s: r is %.3f times q, want %.3f", qkNorm, probeInitNames[init], got, want)
			}
		}
	}
}

// initialSize is how large q or r begins: the gain of its norm times the root mean
// square of one, or that of its matrix.
func initialSize(t *testing.T, be kernels.Backend, c Config, which string) float64 {
	t.Helper()
	m := initialised(t, be, c, 1, 1)
	name := "model.layers.0.self_attn." + which + "_proj.weight"
	if c.QKNorm {
		name = "model.layers.0.self_attn." + which + "_norm.weight"
	}
	p, _ := m.Layout().Find(name)
	sum := 0.0
	for _, x := range read(t, be, m.Layout().View(m.Params(), p).Buf) {
		sum += x * x
	}
	return math.Sqrt(sum / float64(p.Len()))
}

// TestNoProbeBeginsAsSoftmaxAndLearns: at the start the loss is that of softmax
// attention with the same seed, and the gradient of r is not zero.
func TestNoProbeBeginsAsSoftmaxAndLearns(t *testing.T) {
	const batch, seqLen = 2, 7
	be := oracle(t)
	for _, qkNorm := range []bool{true, false} {
		c := tiny()
		c.QKNorm, c.ProbeInit = qkNorm, NoProbe
		parallax := initialised(t, be, c, batch, seqLen)
		c.Mixer = SoftmaxAttention
		softmax := initialised(t, be, c, batch, seqLen)
		b := randomTokens(c, batch, seqLen, false).on(t, be)
		grad := gradients(t, parallax, b, 1)
		softmax.Evaluate(b)
		if e := relativeError(read(t, be, parallax.Losses()), read(t, be, softmax.Losses())); e > 1e-12 {
			t.Errorf("qk_norm=%t: losses differ by %g", qkNorm, e)
		}
		name := "model.layers.0.self_attn.r_proj.weight"
		if qkNorm {
			name = "model.layers.0.self_attn.r_norm.weight"
		}
		p, _ := parallax.Layout().Find(name)
		if slices.Max(grad[p.Offset:p.Offset+p.Len()]) == 0 {
			t.Errorf("qk_norm=%t: nothing moves %s", qkNorm, name)
		}
	}
}

func TestInitDependsOnSeedAndNameAlone(t *testing.T) {
	be := oracle(t)
	value := func(c Config, seed uint64, name string) []float64 {
		m, err := New(be, c, 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if err := m.Init(seed); err != nil {
			t.Fatal(err)
		}
		p, _ := m.Layout().Find(name)
		return read(t, be, m.Layout().View(m.Params(), p).Buf)
	}
	const q, r = "model.layers.1.self_attn.q_proj.weight", "model.layers.1.self_attn.r_proj.weight"
	softmax := tiny()
	softmax.Mixer = SoftmaxAttention
	base := value(tiny(), 1, q)
	if !slices.Equal(base, value(softmax, 1, q)) {
		t.Error("q_proj depends on the mixer")
	}
	if slices.Equal(base, value(tiny(), 2, q)) || slices.Equal(base, value(tiny(), 1, r)) {
		t.Error("q_proj does not depend on the seed, or is r_proj")
	}
}

// TestStreamIsTheDocumentedOne pins the generator: a change of it would change
// every run. The SplitMix64 outputs for state 0 are those of its authors' code.
func TestStreamIsTheDocumentedOne(t *testing.T) {
	for i, want := range []uint64{0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4, 0x06c45d188009454f} {
		if got := mix((uint64(i) + 1) * gamma); got != want {
			t.Errorf("SplitMix64 number %d is %#x, want %#x", i, got, want)
		}
	}
	s := stream{key: 0}
	u, v := s.uniform(0), s.uniform(1)
	if want := math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*v); s.normal(0) != want {
		t.Errorf("normal number 0 is %v, want %v", s.normal(0), want)
	}
}

func TestFillCoversEveryPiece(t *testing.T) {
	x := make([]float64, 3<<14+5)
	fill(x, func(i int) float64 { return float64(i) })
	for i, v := range x {
		if v != float64(i) {
			t.Fatalf("element %d is %g", i, v)
		}
	}
}

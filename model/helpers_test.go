package model

import (
	"math"
	"math/rand/v2"
	"testing"

	"parallax/kernels"
	_ "parallax/kernels/cpu"
	"parallax/kernels/ref"
)

// devices are those that these tests run on, with the error that a figure computed
// there may have. With the tag cuda, a GPU is one.
var devices = map[string]float64{"cpu": 2e-5}

// tiny is a config with every feature that can be on.
func tiny() Config {
	return Config{
		Vocabulary: 11, Layers: 2, Width: 16, QHeads: 4, KVHeads: 2, HeadDim: 6, FFN: 10,
		Mixer: ParallaxAttention, QKNorm: true, RoPETheta: 100, NormEps: 1e-5, InitStd: 0.4,
	}
}

func open(t *testing.T, device string) kernels.Backend {
	t.Helper()
	be, err := kernels.Open(device, kernels.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := be.Close(); err != nil {
			t.Error(err)
		}
	})
	return be
}

func newModel(t *testing.T, be kernels.Backend, c Config, batch, seqLen int) *Model {
	t.Helper()
	m := initialised(t, be, c, batch, seqLen)
	jitterGains(t, m)
	return m
}

func initialised(t *testing.T, be kernels.Backend, c Config, batch, seqLen int) *Model {
	t.Helper()
	m, err := New(be, c, batch, seqLen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	if err := m.Init(7); err != nil {
		t.Fatal(err)
	}
	return m
}

// jitterGains moves the gains off 1, where mistakes with them would not show.
func jitterGains(t *testing.T, m *Model) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, p := range m.Layout().Params {
		if p.Kind == Norm {
			x := make([]float64, p.Len())
			for i := range x {
				x[i] = 1 + 0.3*rng.NormFloat64()
			}
			write(t, m.be, m.Layout().View(m.Params(), p).Buf, x)
		}
	}
	m.SyncWork()
}

func read(t *testing.T, be kernels.Backend, b kernels.Buffer) []float64 {
	t.Helper()
	x, err := kernels.ReadFloats(be, b)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func write(t *testing.T, be kernels.Backend, b kernels.Buffer, x []float64) {
	t.Helper()
	if err := kernels.WriteFloats(be, b, x); err != nil {
		t.Fatal(err)
	}
}

func ints(t *testing.T, be kernels.Backend, x []int32) kernels.Buffer {
	t.Helper()
	b, err := be.Alloc(kernels.I32, len(x))
	if err != nil {
		t.Fatal(err)
	}
	if err := be.CopyIn(b, kernels.Bytes(x)).Wait(); err != nil {
		t.Fatal(err)
	}
	return b
}

// tokens are a micro-batch on the host.
type tokens struct{ inputs, targets, docStart []int32 }

// randomTokens makes a micro-batch with a few ignored targets, and documents that
// end within the sequences when packed is set.
func randomTokens(c Config, batch, seqLen int, packed bool) tokens {
	rng := rand.New(rand.NewPCG(3, 4))
	var b tokens
	for range batch {
		start := int32(0)
		for i := range seqLen {
			b.inputs = append(b.inputs, rng.Int32N(int32(c.Vocabulary)))
			target := rng.Int32N(int32(c.Vocabulary))
			if rng.IntN(5) == 0 {
				target = -1
			}
			b.targets = append(b.targets, target)
			if packed && rng.IntN(3) == 0 {
				start = int32(i)
			}
			b.docStart = append(b.docStart, start)
		}
	}
	if !packed {
		b.docStart = nil
	}
	return b
}

// slice is sequences [lo, hi).
func (b tokens) slice(lo, hi, seqLen int) tokens {
	s := tokens{inputs: b.inputs[lo*seqLen : hi*seqLen], targets: b.targets[lo*seqLen : hi*seqLen]}
	if b.docStart != nil {
		s.docStart = b.docStart[lo*seqLen : hi*seqLen]
	}
	return s
}

func (b tokens) on(t *testing.T, be kernels.Backend) Batch {
	t.Helper()
	d := Batch{Tokens: ints(t, be, b.inputs), Targets: ints(t, be, b.targets)}
	if b.docStart != nil {
		d.DocStart = ints(t, be, b.docStart)
	}
	return d
}

// gradients runs one micro-batch from zero gradients.
func gradients(t *testing.T, m *Model, b Batch, scale float64) []float64 {
	t.Helper()
	m.ZeroGrads()
	m.ForwardBackward(b, scale, nil)
	return read(t, m.be, m.Grads())
}

func sum(x []float64) float64 {
	s := 0.0
	for _, v := range x {
		s += v
	}
	return s
}

// relativeError is |x-y| / |y|, of vectors.
func relativeError(x, y []float64) float64 {
	var diff, norm float64
	for i := range x {
		diff += (x[i] - y[i]) * (x[i] - y[i])
		norm += y[i] * y[i]
	}
	if norm == 0 {
		return math.Sqrt(diff)
	}
	return math.Sqrt(diff / norm)
}

func oracle(t *testing.T) kernels.Backend {
	t.Helper()
	be := ref.New()
	t.Cleanup(func() {
		if err := be.Close(); err != nil {
			t.Error(err)
		}
	})
	return be
}

func logSumExp(x []float64) float64 {
	s := 0.0
	for _, v := range x {
		s += math.Exp(v)
	}
	return math.Log(s)
}

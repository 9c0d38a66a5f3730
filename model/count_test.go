package model

import (
	"testing"

	"parallax/kernels"
)

// byHand is small enough to count with a pencil.
func byHand() Config {
	return Config{
		Vocabulary: 10, Layers: 1, Width: 16, QHeads: 2, KVHeads: 1, HeadDim: 4, FFN: 8,
		Mixer: ParallaxAttention, TiedHead: true, RoPETheta: 100, NormEps: 1e-5, InitStd: 1,
	}
}

func TestCountsByHand(t *testing.T) {
	c := byHand()
	// Embedding 10*16; gains 3*16; q, r, o 8*16 each; k, v 4*16 each; FFN 3*8*16.
	if got := c.Parameters(); got != 160+48+3*128+2*64+384 {
		t.Errorf("%d parameters", got)
	}
	// Three tokens: 2*3 times the 1056 weights that multiply (head 160, q, r, o 384,
	// k, v 128, FFN 384); 2 heads of 1+2+3 pairs, products of 2*4 operations.
	want := FLOPs{Forward: 6*1056 + 12*4*8, Backward: 2*6*1056 + 12*6*8}
	if got := c.SequenceFLOPs(3); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := c.FLOPsPerToken(3); got != float64(want.Total())/3 {
		t.Errorf("%g FLOPs per token", got)
	}
	if got := c.FLOPsPerToken6N(3); got != 6*1104+12*8*3 {
		t.Errorf("%g FLOPs per token by 6N", got)
	}
	c.Mixer, c.Window = SoftmaxAttention, 2
	// No r; 2 heads of 1+2+2 pairs; 2 and 4 products.
	want = FLOPs{Forward: 6*928 + 10*2*8, Backward: 2*6*928 + 10*4*8}
	if got := c.SequenceFLOPs(3); got != want {
		t.Errorf("softmax, window: %+v, want %+v", got, want)
	}
}

func TestBytesByHand(t *testing.T) {
	// Three tokens, pieces rounded up to 16 elements. Compute: last, normed, dx 48
	// each; attention's scratch 32 (do) + 80 (dqrkv), larger than the other two;
	// the layer 48 (x) + 80 (qrkv) + 32 (o) + 48 (mid) + 48 (gate, up) + 32 (vbar).
	// Master: losses, table, rstd, lse, tbar 16 each.
	const compute, master = 3*48 + 112 + 288, 5 * 16
	got := byHand().Bytes(kernels.Precision{Compute: kernels.BF16, Master: kernels.F32}, 1, 3)
	want := Bytes{Parameters: 4 * 1104, Work: 2 * 1104, Gradients: 4 * 1104, Activations: 2*compute + 4*master}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	got = byHand().Bytes(kernels.Precision{Compute: kernels.F32, Master: kernels.F32}, 1, 3)
	if got.Work != 0 || got.Total() != 4*(2*1104+compute+master) {
		t.Errorf("one type: %+v", got)
	}
}

// With recomputation another layer costs its input, [n, d], and nothing else.
func TestRecomputationKeepsInputs(t *testing.T) {
	f32 := kernels.Precision{Compute: kernels.F32, Master: kernels.F32}
	for layers := 1; layers < 4; layers++ {
		c, more := byHand(), byHand()
		c.Recompute, more.Recompute = true, true
		c.Layers, more.Layers = layers, layers+1
		if got := more.Bytes(f32, 2, 8).Activations - c.Bytes(f32, 2, 8).Activations; got != 4*2*8*16 {
			t.Errorf("layer %d takes %d bytes, want 1024", layers+1, got)
		}
	}
	c := byHand()
	c.Recompute = true
	kept := byHand()
	if c.Bytes(f32, 2, 8) != kept.Bytes(f32, 2, 8) || c.RecomputedFLOPs(8) != 0 {
		t.Error("a single layer is recomputed")
	}
	// Three tokens: 2*3 times the 896 weights of q, r, o, k, v, gate and up, and
	// attention as in TestCountsByHand.
	c.Layers = 2
	if got := c.RecomputedFLOPs(3); got != 6*768+12*4*8 {
		t.Errorf("%d FLOPs recomputed", got)
	}
}

func TestActivationsDoNotGrowWithTheVocabulary(t *testing.T) {
	f32 := kernels.Precision{Compute: kernels.F32, Master: kernels.F32}
	small, large := tiny(), tiny()
	large.Vocabulary = 1 << 17
	if a, b := small.Bytes(f32, 4, 64).Activations, large.Bytes(f32, 4, 64).Activations; a != b {
		t.Errorf("%d bytes of activations for a small vocabulary, %d for a large one", a, b)
	}
}

// TestPublishedSizes holds the counts against Qwen3's, and W_R's share (28 layers
// of 2048 rows, by 1024 and 2048 columns).
func TestPublishedSizes(t *testing.T) {
	for _, size := range []struct {
		name               string
		width, ffn         int
		softmax, parallaxR int64
	}{
		{"0.6b", 1024, 3072, 596_049_920, 58_720_256},
		{"1.7b", 2048, 6144, 1_720_574_976, 117_440_512},
	} {
		c := Config{
			Vocabulary: 151936, Layers: 28, Width: size.width, QHeads: 16, KVHeads: 8, HeadDim: 128, FFN: size.ffn,
			Mixer: SoftmaxAttention, QKNorm: true, TiedHead: true, RoPETheta: 1e6, NormEps: 1e-6, InitStd: 0.02,
		}
		if got := c.Parameters(); got != size.softmax {
			t.Errorf("%s, softmax: %d parameters, want %d", size.name, got, size.softmax)
		}
		c.Mixer = ParallaxAttention
		const rNorm = 28 * 128
		if got := c.Parameters(); got != size.softmax+size.parallaxR+rNorm {
			t.Errorf("%s, parallax: %d parameters, want %d", size.name, got, size.softmax+size.parallaxR+rNorm)
		}
	}
}

// meter is a backend that adds up the FLOPs and bytes it is asked for.
type meter struct {
	kernels.Backend
	flops, bytes, host int64
}

func (m *meter) Alloc(dt kernels.DType, n int) (kernels.Buffer, error) {
	m.bytes += int64(n * dt.Size())
	return m.Backend.Alloc(dt, n)
}

func (m *meter) HostAlloc(bytes int) []byte {
	m.host += int64(bytes)
	return m.Backend.HostAlloc(bytes)
}

func (m *meter) MatMul(op kernels.MatMul) {
	m.flops += op.FLOPs()
	m.Backend.MatMul(op)
}

func (m *meter) Attention(op kernels.Attention) {
	m.flops += op.FLOPs()
	m.Backend.Attention(op)
}

func (m *meter) AttentionBackward(op kernels.AttentionBackward) {
	m.flops += op.FLOPs()
	m.Backend.AttentionBackward(op)
}

func (m *meter) HeadLoss(op kernels.HeadLoss) {
	m.flops += op.FLOPs()
	m.Backend.HeadLoss(op)
}

// TestCountsAreWhatTheModelDoes compares the counts with the operations that the
// model enqueues and the memory that it allocates.
func TestCountsAreWhatTheModelDoes(t *testing.T) {
	const batch, seqLen = 2, 7
	all := variants()
	for name, v := range variants() {
		v.config.Recompute, v.config.Layers = true, 3
		all[name+", recomputed"] = v
	}
	for name, v := range all {
		be := &meter{Backend: oracle(t)}
		m := newModel(t, be, v.config, batch, seqLen)
		if want := v.config.Bytes(be.Info().Precision, batch, seqLen).Total(); be.bytes != want {
			t.Errorf("%s: %d bytes allocated, %d counted", name, be.bytes, want)
		}
		b := randomTokens(v.config, batch, seqLen, false).on(t, be)
		count := v.config.SequenceFLOPs(seqLen)
		m.Evaluate(b)
		if be.flops != batch*count.Forward {
			t.Errorf("%s: forward enqueued %d FLOPs, counted %d", name, be.flops, batch*count.Forward)
		}
		be.flops = 0
		m.ForwardBackward(b, 1, nil)
		if want := batch * (count.Total() + v.config.RecomputedFLOPs(seqLen)); be.flops != want {
			t.Errorf("%s: both passes enqueued %d FLOPs, counted %d", name, be.flops, want)
		}
	}
}

package model

import (
	"fmt"
	"math"

	"parallax/kernels"
)

// Config is the shape of the decoder.
type Config struct {
	Vocabulary int
	Layers     int
	Width      int // d, of the residual stream; a multiple of 16
	QHeads     int // a multiple of KVHeads
	KVHeads    int
	HeadDim    int // even, for the rotation of halves
	FFN        int // SwiGLU's inner width
	Mixer      Mixer
	Window     int  // sliding window of keys, 0: none
	QKNorm     bool // RMSNorm of each head's q, k and r
	ProbeInit  ProbeInit
	TiedHead   bool // the head is the embedding
	RoPETheta  float64
	NormEps    float64
	InitStd    float64
	// Recompute keeps of a layer only its input for the backward pass, which then
	// computes the layer's forward pass again: less memory for the same gradients,
	// to the bit, and [Config.RecomputedFLOPs] more work.
	Recompute bool
}

// align is what every parameter's offset in the flat buffer is a multiple of,
// in elements; a Width of whole multiples keeps the fused matrices gapless.
const align = 16

// maxLayers and maxSize bound the sizes, so that no product of them overflows.
const (
	maxLayers = 1 << 12
	maxSize   = 1 << 20
)

// Check says what cannot be built, naming the key of the run spec.
func (c Config) Check() error {
	for _, s := range []struct {
		key   string
		value int
	}{
		{"vocabulary", c.Vocabulary}, {"layers", c.Layers}, {"width", c.Width}, {"q_heads", c.QHeads},
		{"kv_heads", c.KVHeads}, {"head_dim", c.HeadDim}, {"ffn", c.FFN},
	} {
		if s.value < 1 || s.value > maxSize {
			return fmt.Errorf("model.%s: %d is not in 1..%d", s.key, s.value, maxSize)
		}
	}
	switch {
	case c.Layers > maxLayers:
		return fmt.Errorf("model.layers: %d is more than %d", c.Layers, maxLayers)
	case c.Width%align != 0:
		return fmt.Errorf("model.width: %d is no multiple of %d", c.Width, align)
	case c.QHeads%c.KVHeads != 0:
		return fmt.Errorf("model.q_heads: %d is no multiple of model.kv_heads, which is %d", c.QHeads, c.KVHeads)
	case c.HeadDim%2 != 0 || c.HeadDim > kernels.MaxHeadDim:
		return fmt.Errorf("model.head_dim: %d is not an even number up to %d", c.HeadDim, kernels.MaxHeadDim)
	case c.Window < 0:
		return fmt.Errorf("model.window: %d is negative: use 0 for no window", c.Window)
	}
	if err := c.checkReals(); err != nil {
		return err
	}
	return c.Mixer.check()
}

func (c Config) checkReals() error {
	for _, s := range []struct {
		key   string
		value float64
	}{
		{"rope_theta", c.RoPETheta}, {"norm_eps", c.NormEps}, {"init_std", c.InitStd},
	} {
		if !(s.value > 0) || math.IsInf(s.value, 0) {
			return fmt.Errorf("model.%s: %v is not a positive number", s.key, s.value)
		}
	}
	return nil
}

// maxElements bounds a micro-batch's activations, far above any device's memory.
const maxElements = 1 << 48

// checkBatch says whether the activations of a micro-batch can be counted.
func (c Config) checkBatch(batch, seqLen int) error {
	if batch < 1 || seqLen < 1 {
		return fmt.Errorf("model: a micro-batch of %d sequences of %d tokens is empty", batch, seqLen)
	}
	compute, master := c.activationElements(1, 1)
	if elements := float64(batch) * float64(seqLen) * float64(compute+master); elements > maxElements {
		return fmt.Errorf("model: a micro-batch of %d sequences of %d tokens needs %.3g activations: make train.micro_batch or train.seq_len smaller",
			batch, seqLen, elements)
	}
	return nil
}

// qCols and kvCols are the widths of q (and r) and of k (and v).
func (c Config) qCols() int  { return c.QHeads * c.HeadDim }
func (c Config) kvCols() int { return c.KVHeads * c.HeadDim }

// rotatedHeads is the number of heads that take part in RoPE: q, r and k.
func (c Config) rotatedHeads() int {
	if c.Mixer.learned() {
		return 2*c.QHeads + c.KVHeads
	}
	return c.QHeads + c.KVHeads
}

// projected is the number of rows of the fused [Wq; Wr; Wk; Wv].
func (c Config) projected() int { return (c.rotatedHeads() + c.KVHeads) * c.HeadDim }

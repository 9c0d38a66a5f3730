package bench

import (
	"context"
	"math"
	"testing"

	"parallax/internal/config"
	"parallax/kernels"
	_ "parallax/kernels/cpu"
)

func open(t *testing.T) kernels.Backend {
	t.Helper()
	be, err := kernels.Open("cpu", kernels.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { be.Close() })
	return be
}

// Every case runs, and its name says its shapes.
func TestCases(t *testing.T) {
	be := open(t)
	for _, build := range []func(*stage) kernelCase{
		product("p", 8, 16, 24, true, true), attention("parallax", 1, 2, 16, 8, true, true),
		attention("softmax", 1, 2, 16, 8, false, false), headLoss(8, 16, 32), newtonSchulz(16, 24), rmsNorm(4, 16), rmsNormBackward(4, 16),
		headRotary(4, 2, 8, 4), headRotaryBackward(4, 2, 8, 4), swiglu(4, 16), swigluBackward(4, 16), embedding(4, 16, 8), embeddingBackward(4, 16, 8),
		sumSquares(64), adamw(64), momentum(64), update(64), quantize(64), dequantize(64),
		convert("c", kernels.F32, kernels.BF16, 64), convert("c", kernels.BF16, kernels.F32, 64),
	} {
		s := &stage{be: be}
		c := build(s)
		if s.err != nil {
			t.Fatal(s.err)
		}
		var got KernelResult
		if err := measure(be, c, kernels.Peak{FLOPS: 1e9, Bandwidth: 1e9}, 3, func(r KernelResult) { got = r }); err != nil {
			t.Fatal(err)
		}
		s.free()
		if got.Name == "" || got.Seconds.Median <= 0 || got.Seconds.Min > got.Seconds.Median || got.Seconds.Max < got.Seconds.Median || got.Share <= 0 {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestStep(t *testing.T) {
	loaded, err := config.Load(config.Sources{Preset: "tiny", Set: []string{"model.layers=1", "train.seq_len=16", "train.slots=1"}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Step(context.Background(), open(t), loaded.Spec, 256, kernels.Peak{}, Plan{Warmup: 1, Steps: 2, Split: true})
	if err != nil {
		t.Fatal(err)
	}
	split := map[string]Part{}
	for _, p := range r.Split {
		split[p.Operation] = p
	}
	loss := split["head and cross-entropy"]
	if loss.Calls != 1 || loss.Seconds <= 0 || math.Abs(loss.FLOPS*loss.Seconds/(3*2*32*256*128)-1) > 1e-6 {
		t.Errorf("split: %+v", loss)
	}
	if r.Tokens != 32 || r.Rate <= 0 || r.FLOPS <= 0 || r.Parameters == 0 || r.Share != 0 {
		t.Errorf("%+v", r)
	}
}

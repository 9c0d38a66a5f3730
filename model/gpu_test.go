//go:build cuda

package model

import (
	"math"
	"testing"

	"parallax/kernels"
	_ "parallax/kernels/cuda"
)

func init() {
	be, err := kernels.Open("cuda:0", kernels.Options{})
	if err != nil {
		return // a host without a GPU
	}
	be.Close()
	devices["cuda:0"] = 1e-2 // of bfloat16
}

// TestDiagnoseOnGPU looks into the same parameters on the CPU and on a GPU, whose
// kernels for heads of 64 and of 128 are others than for small ones.
func TestDiagnoseOnGPU(t *testing.T) {
	if devices["cuda:0"] == 0 {
		t.Skip("needs a GPU")
	}
	for _, dim := range []int{16, 64, 128} {
		c := tiny()
		c.Layers, c.Width, c.HeadDim, c.FFN, c.InitStd = 3, 128, dim, 256, 0.1
		tokens := randomTokens(c, 2, 192, true)
		look := func(device string) []Diagnosis {
			be := open(t, device)
			m := newModel(t, be, c, 2, 192)
			d, err := m.Diagnose(tokens.on(t, be))
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		want, got := look("cpu"), look("cuda:0")
		for i, w := range want {
			g := got[i]
			t.Logf("heads of %d, layer %d: %+v on the CPU, %+v on the GPU", dim, i, w, g)
			near(t, "entropy", g.Entropy, w.Entropy, 1e-2)
			near(t, "first token", g.FirstToken, w.FirstToken, 1e-2)
			near(t, "correction", g.Correction, w.Correction, 2e-2)
			if g.RankQ != w.RankQ || g.RankR != w.RankR || g.RankK != w.RankK {
				t.Errorf("ranks of the same float32 parameters differ: %+v and %+v", g, w)
			}
			if math.IsNaN(g.Correction) {
				t.Error("no probe")
			}
		}
	}
}

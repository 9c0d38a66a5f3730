package cpu

import (
	"fmt"
	"math"
	"testing"

	"parallax/kernels"
)

var attentionShapes = []struct{ batch, heads, seqLen, dim int }{
	{4, 6, 256, 64}, {1, 8, 1024, 64}, {1, 8, 4096, 64}, {1, 8, 1024, 128}, {1, 8, 4096, 128},
}

// BenchmarkAttention times forward and forward with backward. FLOP/s count the
// causal half once and no recomputation.
func BenchmarkAttention(b *testing.B) {
	for _, set := range availableSets() {
		for _, s := range attentionShapes {
			for _, mixer := range []string{"softmax", "parallax"} {
				name := fmt.Sprintf("%s/%s/B%d_H%d_T%d_D%d", set.key, mixer, s.batch, s.heads, s.seqLen, s.dim)
				dev := openSet(set, 2)
				f, g := benchAttention(b, dev, s.batch, s.heads, s.seqLen, s.dim, mixer == "parallax")
				b.Run(name+"/forward", func(b *testing.B) { measure(b, f.FLOPs(), func() { dev.Attention(f) }) })
				b.Run(name+"/both", func(b *testing.B) {
					measure(b, f.FLOPs()+g.FLOPs(), func() {
						dev.Attention(f)
						dev.AttentionBackward(g)
					})
				})
				dev.Close()
			}
		}
	}
}

func benchAttention(b *testing.B, dev *Backend, batch, heads, seqLen, dim int, probe bool) (kernels.Attention, kernels.AttentionBackward) {
	mat := func() kernels.Matrix { return benchMat(b, dev, batch*seqLen, heads*dim) }
	shape := kernels.AttentionShape{Batch: batch, SeqLen: seqLen, QHeads: heads, KVHeads: heads, HeadDim: dim, Scale: 1 / math.Sqrt(float64(dim))}
	stats := batch * heads * seqLen
	f := kernels.Attention{AttentionShape: shape, O: mat(), Q: mat(), K: mat(), V: mat(), LSE: benchMat(b, dev, 1, stats).Buf}
	g := kernels.AttentionBackward{AttentionShape: shape, DQ: mat(), DK: mat(), DV: mat(), DO: mat()}
	if probe {
		f.R, f.TBar, g.DR = mat(), benchMat(b, dev, 1, stats).Buf, mat()
		if dev.NeedsVBar(shape) {
			f.VBar = mat()
		}
	}
	g.Q, g.R, g.K, g.V, g.O, g.VBar, g.LSE, g.TBar = f.Q, f.R, f.K, f.V, f.O, f.VBar, f.LSE, f.TBar
	return f, g
}

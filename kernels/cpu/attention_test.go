package cpu

import (
	"fmt"
	"math"
	"testing"

	"parallax/kernels"
)

type attentionCase struct {
	batch, seqLen, qHeads, kvHeads, dim, window int
	cu                                          []int
	softmax                                     bool
}

func TestAttention(t *testing.T) {
	for _, c := range []attentionCase{
		{batch: 1, seqLen: 1, qHeads: 1, kvHeads: 1, dim: 1},
		{batch: 2, seqLen: 50, qHeads: 2, kvHeads: 2, dim: 16},
		{batch: 1, seqLen: 129, qHeads: 4, kvHeads: 2, dim: 40},
		{batch: 1, seqLen: 300, qHeads: 2, kvHeads: 1, dim: 64},
		{batch: 1, seqLen: 300, qHeads: 1, kvHeads: 1, dim: 33, window: 70},
		{batch: 2, seqLen: 100, qHeads: 1, kvHeads: 1, dim: 32, cu: []int{0, 3, 60, 100, 101, 200}},
		{batch: 2, seqLen: 100, qHeads: 2, kvHeads: 1, dim: 32, window: 20, cu: []int{0, 3, 60, 100, 101, 200}},
		{batch: 1, seqLen: 77, qHeads: 2, kvHeads: 1, dim: 24, softmax: true},
		{batch: 1, seqLen: 600, qHeads: 2, kvHeads: 1, dim: 20},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) { agree(t, 1e-5, c.run) })
	}
}

func (c attentionCase) run(d *device) {
	rows, q, kv := c.batch*c.seqLen, c.qHeads*c.dim, c.kvHeads*c.dim
	shape := kernels.AttentionShape{Batch: c.batch, SeqLen: c.seqLen, QHeads: c.qHeads, KVHeads: c.kvHeads,
		HeadDim: c.dim, Scale: 1 / math.Sqrt(float64(c.dim)), Window: c.window}
	if c.cu != nil {
		starts, err := kernels.DocStarts(c.cu, c.batch, c.seqLen)
		if err != nil {
			d.t.Fatal(err)
		}
		shape.DocStart = d.ints(starts)
	}
	stats := rows * c.qHeads
	f := kernels.Attention{AttentionShape: shape, O: d.outMat(rows, q), Q: d.inMat(rows, q), K: d.inMat(rows, kv), V: d.inMat(rows, kv), LSE: d.out(stats)}
	g := kernels.AttentionBackward{AttentionShape: shape, DQ: d.outMat(rows, q), DK: d.outMat(rows, kv), DV: d.outMat(rows, kv), DO: d.inMat(rows, q)}
	if !c.softmax {
		f.R, f.VBar, f.TBar, g.DR = d.inMat(rows, q), d.outMat(rows, q), d.out(stats), d.outMat(rows, q)
	}
	d.Attention(f)
	g.Q, g.R, g.K, g.V, g.O, g.VBar, g.LSE, g.TBar = f.Q, f.R, f.K, f.V, f.O, f.VBar, f.LSE, f.TBar
	d.AttentionBackward(g)
}

package cpu

import (
	"testing"

	"parallax/kernels"
)

// Sizes that are no multiple of a vector, and enough rows for several tasks.
const (
	testRows = 700
	testCols = 77
)

func TestRMSNorm(t *testing.T) {
	agree(t, 1e-6, func(d *device) {
		f := kernels.RMSNorm{X: d.inMat(testRows, testCols), Y: d.outMat(testRows, testCols), Gain: d.in(testCols), RStd: d.out(testRows), Eps: 1e-6}
		d.RMSNorm(f)
		g := kernels.RMSNormBackward{DX: d.outMat(testRows, testCols), DY: d.inMat(testRows, testCols), X: f.X, Gain: f.Gain, RStd: f.RStd, DGain: d.out(testCols)}
		d.RMSNormBackward(g)
		g.DX = d.outMat(testRows, testCols)
		g.Add = g.DX
		d.RMSNormBackward(g)
	})
}

func TestHeadRotary(t *testing.T) {
	const heads, dim, seqLen, rows = 3, 22, 35, 350
	for _, normed := range []bool{false, true} {
		agree(t, 1e-6, func(d *device) {
			f := kernels.HeadRotary{X: d.inMat(rows, heads*dim), Y: d.outMat(rows, heads*dim), Heads: heads, HeadDim: dim,
				SeqLen: seqLen, Table: d.in(seqLen * dim), Eps: 1e-5}
			g := kernels.HeadRotaryBackward{DX: d.outMat(rows, heads*dim), DY: d.inMat(rows, heads*dim), Heads: heads, HeadDim: dim, SeqLen: seqLen, Table: f.Table}
			if normed {
				f.Gain, f.RStd = d.in(dim), d.out(rows*heads)
				g.X, g.Gain, g.RStd, g.DGain = f.X, f.Gain, f.RStd, d.out(dim)
			}
			d.HeadRotary(f)
			d.HeadRotaryBackward(g)
		})
	}
}

func TestSwiGLU(t *testing.T) {
	agree(t, 1e-6, func(d *device) {
		f := kernels.SwiGLU{Y: d.outMat(testRows, testCols), Gate: d.outMat(testRows, testCols), Up: d.outMat(testRows, testCols)}
		d.SwiGLU(f)
		d.SwiGLUBackward(kernels.SwiGLUBackward{DGate: f.Gate, DUp: f.Up, DY: d.inMat(testRows, testCols), Gate: f.Gate, Up: f.Up})
	})
}

func TestEmbedding(t *testing.T) {
	const words = 50
	agree(t, 1e-6, func(d *device) {
		tokens := make([]int32, testRows)
		for n := range tokens {
			tokens[n] = int32(d.rng.IntN(words))
		}
		f := kernels.Embedding{Y: d.outMat(testRows, testCols), W: d.outMat(words, testCols), Tokens: d.ints(tokens)}
		d.Embedding(f)
		d.EmbeddingBackward(kernels.EmbeddingBackward{DW: f.W, DY: d.inMat(testRows, testCols), Tokens: f.Tokens})
	})
}

func TestOptimizerSteps(t *testing.T) {
	const n = testRows * testCols
	agree(t, 2e-6, func(d *device) {
		clip, squares := d.out(1), d.out(1)
		g := d.in(n)
		d.SumSquares(squares, g, true)
		d.ClipScale(clip, squares, 3)
		v := d.out(n)
		d.Zero(v)
		for step := 1; step <= 3; step++ {
			d.AdamW(kernels.AdamW{P: d.out(n), G: g, M: d.out(n), V: v, Work: d.out(n), GradScale: clip,
				LR: 0.01, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.1, Step: step})
		}
		m, u := d.out(n), d.out(n)
		d.Momentum(kernels.Momentum{U: u, M: m, G: g, GradScale: clip, Mu: 0.95, Nesterov: true})
		d.Momentum(kernels.Momentum{U: g, M: m, G: g, Mu: 0.9})
		d.Normalize(kernels.Normalize{Y: d.out(n), X: u, SumSquares: squares, Factor: 1.01, Eps: 1e-7})
		d.Update(kernels.Update{P: d.out(n), Work: d.out(n), U: u, Decay: 0.99, Rate: 0.02})
	})
}

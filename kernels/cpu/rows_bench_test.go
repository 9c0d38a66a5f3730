package cpu

import (
	"fmt"
	"testing"

	"parallax/kernels"
)

// BenchmarkRows is the operations on rows of activations, with 64 rows, which stay in a
// core's cache and show the arithmetic, and with 8192, which come from memory. Bytes are
// those that must move: each operand once in, each result once out.
func BenchmarkRows(b *testing.B) {
	for _, set := range availableSets() {
		if set.engine != nil {
			continue // has the vector units' row operations
		}
		for _, rows := range []int{64, 8192} {
			dev := openSet(set, 2)
			for _, c := range rowCases(b, dev, rows, 16, 64) {
				b.Run(fmt.Sprintf("%s/rows=%d/%s", set.key, rows, c.name), func(b *testing.B) {
					measureBytes(b, 4*int64(c.passes*rows*16*64), c.run)
				})
			}
			dev.Close()
		}
	}
}

// rowCase is an operation and how many matrices it reads and writes.
type rowCase struct {
	name   string
	passes int
	run    func()
}

// rowCases are the operations on rows of heads*dim elements.
func rowCases(b testing.TB, dev *Backend, rows, heads, dim int) []rowCase {
	cols := heads * dim
	mat := func() kernels.Matrix { return benchMat(b, dev, rows, cols) }
	vec := func(n int) kernels.Buffer { return benchMat(b, dev, 1, n).Buf }
	x, y, dx, dy, more := mat(), mat(), mat(), mat(), mat()
	gain, rstd, dgain := vec(cols), vec(rows*heads), vec(cols)
	const words = 4096
	w, tokens := benchMat(b, dev, words, cols), benchTokens(b, dev, rows, words)
	norm := kernels.RMSNorm{X: x, Y: y, Gain: gain, RStd: rstd.Slice(0, rows), Eps: 1e-6}
	normBack := kernels.RMSNormBackward{DX: dx, DY: dy, X: x, Add: more, Gain: gain, RStd: norm.RStd, DGain: dgain}
	rotary := kernels.HeadRotary{Y: y, X: x, Heads: heads, HeadDim: dim, SeqLen: 64, Table: vec(64 * dim),
		Gain: gain.Slice(0, dim), RStd: rstd, Eps: 1e-6}
	rotaryBack := kernels.HeadRotaryBackward{DX: dx, DY: dy, X: x, Heads: heads, HeadDim: dim, SeqLen: 64, Table: rotary.Table,
		Gain: rotary.Gain, RStd: rstd, DGain: dgain.Slice(0, dim)}
	gate := kernels.SwiGLU{Y: y, Gate: x, Up: more}
	gateBack := kernels.SwiGLUBackward{DGate: dx, DUp: y, DY: dy, Gate: x, Up: more}
	embedding := kernels.Embedding{Y: y, W: w, Tokens: tokens}
	embeddingBack := kernels.EmbeddingBackward{DW: w, DY: dy, Tokens: tokens}
	momentum := kernels.Momentum{U: y.Buf, M: dx.Buf, G: x.Buf, Mu: 0.5, Nesterov: true}
	return []rowCase{
		{"RMSNorm", 2, func() { dev.RMSNorm(norm) }},
		{"RMSNormBackward", 4, func() { dev.RMSNormBackward(normBack) }},
		{"HeadRotary", 2, func() { dev.HeadRotary(rotary) }},
		{"HeadRotaryBackward", 3, func() { dev.HeadRotaryBackward(rotaryBack) }},
		{"SwiGLU", 3, func() { dev.SwiGLU(gate) }},
		{"SwiGLUBackward", 5, func() { dev.SwiGLUBackward(gateBack) }},
		{"Embedding", 2, func() { dev.Embedding(embedding) }},
		{"EmbeddingBackward", 3, func() { dev.EmbeddingBackward(embeddingBack) }},
		{"Momentum", 4, func() { dev.Momentum(momentum) }},
	}
}

// benchTokens are n words of a vocabulary, spread over it.
func benchTokens(b testing.TB, dev *Backend, n, words int) kernels.Buffer {
	buf, err := dev.Alloc(kernels.I32, n)
	if err != nil {
		b.Fatal(err)
	}
	for i, t := 0, ints(buf); i < n; i++ {
		t[i] = int32(i * 40503 % words)
	}
	return buf
}

package bench

import (
	"fmt"

	"parallax/kernels"
)

// memoryCases are the operations that memory bounds, on matrices of 32 Mi elements: 128 MiB
// of float32, so that two of them are beyond what a virtual machine gets of a large shared
// cache. Bytes are those that must move: each operand once in, each result once out.
func memoryCases() []func(*stage) kernelCase {
	const rows, cols = 32768, 1024
	return []func(*stage) kernelCase{
		rmsNorm(rows, cols), rmsNormBackward(rows, cols),
		headRotary(rows, 16, cols/16, 1024), headRotaryBackward(rows, 16, cols/16, 1024),
		swiglu(rows, cols), swigluBackward(rows, cols),
		embedding(rows, cols, 32768), embeddingBackward(rows, cols, 32768),
		sumSquares(rows * cols), adamw(rows * cols), momentum(rows * cols), update(rows * cols),
		convert("float32 to bfloat16", kernels.F32, kernels.BF16, rows*cols),
		convert("bfloat16 to float32", kernels.BF16, kernels.F32, rows*cols),
		quantize(rows * cols), dequantize(rows * cols),
	}
}

func rmsNorm(rows, cols int) func(*stage) kernelCase {
	return func(s *stage) kernelCase {
		op := kernels.RMSNorm{Y: s.matrix(rows, cols), X: s.matrix(rows, cols), Gain: s.compute(cols), RStd: s.master(rows), Eps: 1e-6}
		return kernelCase{name: fmt.Sprintf("RMSNorm %dx%d", rows, cols), bytes: 2 * s.bytesOf(rows*cols), run: func() { s.be.RMSNorm(op) }}
	}
}

func rmsNormBackward(rows, cols int) func(*stage) kernelCase {
	return func(s *stage) kernelCase {
		op := kernels.RMSNormBackward{DX: s.matrix(rows, cols), DY: s.matrix(rows, cols), X: s.matrix(rows, cols), Add: s.matrix(rows, cols),
			Gain: s.compute(cols), RStd: s.master(rows), DGain: s.master(cols)}
		return kernelCase{name: fmt.Sprintf("RMSNorm backward %dx%d", rows, cols), bytes: 4 * s.bytesOf(rows*cols),
			run: func() { s.be.RMSNormBackward(op) }}
	}
}

func headRotary(rows, heads, dim, seqLen int) func(*stage) kernelCase {
	return func(s *stage) kernelCase {
		op := kernels.HeadRotary{Y: s.matrix(rows, heads*dim), X: s.matrix(rows, heads*dim), Heads: heads, HeadDim: dim, SeqLen: seqLen,
			Table: s.master(seqLen * dim), Gain: s.compute(dim), RStd: s.master(rows * heads), Eps: 1e-6}
		return kernelCase{name: fmt.Sprintf("head norm and RoPE %dx%dx%d", rows, heads, dim), bytes: 2 * s.bytesOf(rows*heads*dim),
			run: func() { s.be.HeadRotary(op) }}
	}
}

func headRotaryBackward(rows, heads, dim, seqLen int) func(*stage) kernelCase {
	return func(s *stage) kernelCase {
		op := kernels.HeadRotaryBackward{DX: s.matrix(rows, heads*dim), DY: s.matrix(rows, heads*dim), X: s.matrix(rows, heads*dim),
			Heads: heads, HeadDim: dim, SeqLen: seqLen, Table: s.master(seqLen * dim), Gain: s.compute(dim),
			RStd: s.master(rows * heads), DGain: s.master(dim)}
		return kernelCase{name: fmt.Sprintf("head norm and RoPE backward %dx%dx%d", rows, heads, dim), bytes: 3 * s.bytesOf(rows*heads*dim),
			run: func() { s.be.HeadRotaryBackward(op) }}
	}
}

func swiglu(rows, cols int) func(*stage) kernelCase {
	return func(s *stage) kernelCase {
		op := kernels.SwiGLU{Y: s.matrix(rows, cols), Gate: s.matrix(rows, cols), Up: s.matrix(rows, cols)}
		return kernelCase{name: fmt.Sprintf("SwiGLU %dx%d", rows, cols), bytes: 3 * s.bytesOf(rows*cols), run: func() { s.be.SwiGLU(op) }}
	}
}

func swigluBackward(rows, cols int) func(*stage) kernelCase {
	return func(s *stage) kernelCase {
		op := kernels.SwiGLUBackward{DGate: s.matrix(rows, cols), DUp: s.matrix(rows, cols), DY: s.matrix(rows, cols),
			Gate: s.matrix(rows, cols), Up: s.matrix(rows, cols)}
		return kernelCase{name: fmt.Sprintf("SwiGLU backward %dx%d", rows, cols), bytes: 5 * s.bytesOf(rows*cols),
			run: func() { s.be.SwiGLUBackward(op) }}
	}
}

func embedding(rows, cols, vocabulary int) func(*stage) kernelCase {
	return func(s *stage) kernelCase {
		op := kernels.Embedding{Y: s.matrix(rows, cols), W: s.matrix(vocabulary, cols), Tokens: s.tokens(rows, vocabulary)}
		return kernelCase{name: fmt.Sprintf("embedding %dx%d", rows, cols), bytes: 2 * s.bytesOf(rows*cols), run: func() { s.be.Embedding(op) }}
	}
}

func embeddingBackward(rows, cols, vocabulary int) func(*stage) kernelCase {
	return func(s *stage) kernelCase {
		op := kernels.EmbeddingBackward{DY: s.matrix(rows, cols), DW: kernels.Mat(s.master(vocabulary*cols), vocabulary, cols),
			Tokens: s.tokens(rows, vocabulary)}
		return kernelCase{name: fmt.Sprintf("embedding backward %dx%d", rows, cols), bytes: s.bytesOf(rows*cols) + 8*int64(rows*cols),
			run: func() { s.be.EmbeddingBackward(op) }}
	}
}

func sumSquares(n int) func(*stage) kernelCase {
	return func(s *stage) kernelCase {
		sum, x := s.master(1), s.master(n)
		return kernelCase{name: fmt.Sprintf("sum of squares, %d elements", n), bytes: 4 * int64(n), run: func() { s.be.SumSquares(sum, x, false) }}
	}
}

func adamw(n int) func(*stage) kernelCase {
	return func(s *stage) kernelCase {
		op := kernels.AdamW{P: s.master(n), G: s.master(n), M: s.master(n), V: s.alloc(s.be.Info().Precision.Master, n),
			LR: 1e-3, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Step: 1}
		return kernelCase{name: fmt.Sprintf("AdamW, %d parameters", n), bytes: 7 * 4 * int64(n), run: func() { s.be.AdamW(op) }}
	}
}

func momentum(n int) func(*stage) kernelCase {
	return func(s *stage) kernelCase {
		op := kernels.Momentum{U: s.master(n), M: s.master(n), G: s.master(n), Mu: 0.5, Nesterov: true}
		return kernelCase{name: fmt.Sprintf("momentum, %d parameters", n), bytes: 4 * 4 * int64(n), run: func() { s.be.Momentum(op) }}
	}
}

func update(n int) func(*stage) kernelCase {
	return func(s *stage) kernelCase {
		op := kernels.Update{P: s.master(n), U: s.master(n), Decay: 0.5, Rate: 0.5}
		return kernelCase{name: fmt.Sprintf("update, %d parameters", n), bytes: 3 * 4 * int64(n), run: func() { s.be.Update(op) }}
	}
}

func convert(name string, from, to kernels.DType, n int) func(*stage) kernelCase {
	return func(s *stage) kernelCase {
		src, dst := s.floats(from, n), s.alloc(to, n)
		return kernelCase{name: fmt.Sprintf("%s, %d elements", name, n), bytes: int64(n * (from.Size() + to.Size())),
			run: func() { s.be.Copy(dst, src) }}
	}
}

// quantize adds to sums: g is read and cleared, the sum read and written.
func quantize(n int) func(*stage) kernelCase {
	return func(s *stage) kernelCase {
		op := kernels.Quantize{FixedPoint: kernels.FixedPoint{Bits: 30}, Sum: s.alloc(kernels.I32, n), G: s.floats(kernels.F32, n),
			Peak: s.alloc(kernels.I32, 1), Accumulate: true}
		return kernelCase{name: fmt.Sprintf("quantize, %d elements", n), bytes: 4 * 4 * int64(n), run: func() { s.be.Quantize(op) }}
	}
}

func dequantize(n int) func(*stage) kernelCase {
	return func(s *stage) kernelCase {
		op := kernels.Dequantize{FixedPoint: kernels.FixedPoint{Bits: 30}, Sum: s.alloc(kernels.I32, n), G: s.floats(kernels.F32, n)}
		return kernelCase{name: fmt.Sprintf("dequantize, %d elements", n), bytes: 2 * 4 * int64(n), run: func() { s.be.Dequantize(op) }}
	}
}

package kernels

import "testing"

// operation is what every operation's arguments have.
type operation interface{ Check() error }

func TestChecksAcceptWhatFits(t *testing.T) {
	x, row, col := mat(4, 6), buf(6), buf(4)
	for _, op := range []operation{
		MatMul{C: mat(4, 5), A: x, B: mat(6, 5)},
		MatMul{C: mat(6, 5), A: x, B: mat(5, 4), TransA: true, TransB: true, Beta: 1, Add: mat(6, 5)},
		MatMul{C: mat(4, 4), A: x, B: x, TransB: true, Symmetric: true},
		MatMul{C: mat(4, 5), A: mat(4, 0), B: mat(0, 5)},
		RMSNorm{Y: x, X: x, Gain: row, RStd: col},
		RMSNormBackward{DX: x, DY: x, X: x, Gain: row, RStd: col, DGain: row},
		RMSNormBackward{DX: x, DY: x, X: x, Add: x, Gain: row, RStd: col, DGain: row},
		HeadRotary{Y: x, X: x, Heads: 3, HeadDim: 2, SeqLen: 2, Table: buf(4)},
		HeadRotary{Y: x, X: x, Heads: 3, HeadDim: 2, SeqLen: 2, Table: buf(4), Gain: buf(2), RStd: buf(12)},
		HeadRotaryBackward{DX: x, DY: x, Heads: 3, HeadDim: 2, SeqLen: 2, Table: buf(4)},
		HeadRotaryBackward{DX: x, DY: x, X: x, Heads: 3, HeadDim: 2, SeqLen: 2, Table: buf(4), Gain: buf(2), RStd: buf(12), DGain: buf(2)},
		SwiGLU{Y: x, Gate: x, Up: x},
		SwiGLUBackward{DGate: x, DUp: x, DY: x, Gate: x, Up: x},
		Embedding{Y: x, W: mat(9, 6), Tokens: ints(4)},
		EmbeddingBackward{DW: mat(9, 6), DY: x, Tokens: ints(4)},
		HeadLoss{X: x, W: mat(9, 6), Targets: ints(4), Loss: col},
		HeadLoss{X: x, W: mat(9, 6), Targets: ints(4), Loss: col, DX: x, DW: mat(9, 6)},
		AdamW{P: row, G: row, M: row, V: row, Step: 1},
		AdamW{P: row, G: row, M: row, V: row, Work: row, GradScale: buf(1), Step: 1},
		Momentum{U: row, M: row, G: row, GradScale: buf(1)},
		Normalize{Y: row, X: row, SumSquares: buf(1)},
		Update{P: row, U: row, Work: row},
		Quantize{FixedPoint: FixedPoint{30, -96}, Sum: ints(6), G: row, Peak: ints(1)},
		Dequantize{FixedPoint: FixedPoint{1, 127}, Sum: ints(6), G: row},
	} {
		if err := op.Check(); err != nil {
			t.Errorf("%+v: %v", op, err)
		}
	}
}

func TestChecksRefuseWhatDoesNotFit(t *testing.T) {
	x, row, col := mat(4, 6), buf(6), buf(4)
	for want, op := range map[string]operation{
		"matmul: B is missing":                               MatMul{C: x, A: x},
		"matmul: op(A) is 6x4 but op(B) has 6 rows":          MatMul{C: x, A: x, B: mat(6, 6), TransA: true},
		"matmul: op(A) is 4x6 but op(B) has 5 rows":          MatMul{C: x, A: x, B: mat(6, 5), TransB: true},
		"matmul: C is 4x6, want 4x5":                         MatMul{C: x, A: x, B: mat(6, 5)},
		"matmul: Add is missing":                             MatMul{C: x, A: x, B: mat(6, 6), Beta: 1},
		"matmul: A is float32 and B bfloat16":                MatMul{C: matOf(F32, 3), A: matOf(F32, 3), B: matOf(BF16, 3)},
		"matmul: Add is float32 and C bfloat16":              MatMul{C: matOf(BF16, 3), A: matOf(F32, 3), B: matOf(F32, 3), Beta: 1, Add: matOf(F32, 3)},
		"matmul: a symmetric result cannot be 4x5":           MatMul{C: mat(4, 5), A: x, B: mat(6, 5), Symmetric: true},
		"rmsnorm: Gain has 4 elements, want 6":               RMSNorm{Y: x, X: x, Gain: col, RStd: col},
		"rmsnorm: RStd is missing":                           RMSNorm{Y: x, X: x, Gain: row},
		"rmsnorm backward: Add is 6x4, want 4x6":             RMSNormBackward{DX: x, DY: x, X: x, Add: mat(6, 4), Gain: row, RStd: col, DGain: row},
		"rmsnorm backward: DGain is missing":                 RMSNormBackward{DX: x, DY: x, X: x, Gain: row, RStd: col},
		"head rotary: X is 4x6, want 4x4":                    HeadRotary{Y: x, X: x, Heads: 2, HeadDim: 2, SeqLen: 2, Table: buf(4)},
		"head rotary: 2 heads of size 3":                     HeadRotary{Y: x, X: x, Heads: 2, HeadDim: 3, SeqLen: 2, Table: buf(6)},
		"head rotary: 4 rows are not whole sequences of 3":   HeadRotary{Y: x, X: x, Heads: 3, HeadDim: 2, SeqLen: 3, Table: buf(6)},
		"head rotary: Table has 5 elements, want 4":          HeadRotary{Y: x, X: x, Heads: 3, HeadDim: 2, SeqLen: 2, Table: buf(5)},
		"head rotary: RStd has 4 elements, want 12":          HeadRotary{Y: x, X: x, Heads: 3, HeadDim: 2, SeqLen: 2, Table: buf(4), Gain: buf(2), RStd: buf(4)},
		"head rotary backward: DGain is missing":             HeadRotaryBackward{DX: x, DY: x, X: x, Heads: 3, HeadDim: 2, SeqLen: 2, Table: buf(4), Gain: buf(2), RStd: buf(12)},
		"head rotary backward: X is missing":                 HeadRotaryBackward{DX: x, DY: x, Heads: 3, HeadDim: 2, SeqLen: 2, Table: buf(4), Gain: buf(2), RStd: buf(12), DGain: buf(2)},
		"swiglu: Up is 6x4, want 4x6":                        SwiGLU{Y: x, Gate: x, Up: mat(6, 4)},
		"swiglu backward: DUp is missing":                    SwiGLUBackward{DGate: x, DY: x, Gate: x, Up: x},
		"embedding: Y is 4x6, want 4x5":                      Embedding{Y: x, W: mat(9, 5), Tokens: ints(4)},
		"embedding backward: Tokens has 6 elements, want 4":  EmbeddingBackward{DW: mat(9, 6), DY: x, Tokens: ints(6)},
		"head loss: W is 9x5, want 9x6":                      HeadLoss{X: x, W: mat(9, 5), Targets: ints(4), Loss: col},
		"head loss: DX and DW go together":                   HeadLoss{X: x, W: mat(9, 6), Targets: ints(4), Loss: col, DX: x},
		"head loss: DW is 8x6, want 9x6":                     HeadLoss{X: x, W: mat(9, 6), Targets: ints(4), Loss: col, DX: x, DW: mat(8, 6)},
		"adamw: P is missing":                                AdamW{},
		"adamw: V has 4 elements, want 6":                    AdamW{P: row, G: row, M: row, V: col, Step: 1},
		"adamw: Work has 4 elements, want 6":                 AdamW{P: row, G: row, M: row, V: row, Work: col, Step: 1},
		"adamw: step 0: steps count from 1":                  AdamW{P: row, G: row, M: row, V: row},
		"momentum: GradScale has 4 elements, want 1":         Momentum{U: row, M: row, G: row, GradScale: col},
		"momentum: M is missing":                             Momentum{},
		"normalize: X is missing":                            Normalize{},
		"quantize: 32 bits are not in 1..31":                 Quantize{FixedPoint: FixedPoint{32, 0}, Sum: ints(6), G: row, Peak: ints(1)},
		"quantize: 30 bits below 2^-97":                      Quantize{FixedPoint: FixedPoint{30, -97}, Sum: ints(6), G: row, Peak: ints(1)},
		"quantize: G has 4 elements, want 6":                 Quantize{FixedPoint: FixedPoint{20, 0}, Sum: ints(6), G: col, Peak: ints(1)},
		"quantize: Peak is float32, want int32":              Quantize{FixedPoint: FixedPoint{20, 0}, Sum: ints(6), G: row, Peak: buf(1)},
		"quantize: Peak is missing":                          Quantize{FixedPoint: FixedPoint{20, 0}, Sum: ints(6), G: row},
		"dequantize: Sum is float32, want int32":             Dequantize{FixedPoint: FixedPoint{20, 0}, Sum: row, G: row},
		"dequantize: Sum is missing":                         Dequantize{FixedPoint: FixedPoint{20, 0}, G: row},
		"normalize: SumSquares is missing":                   Normalize{Y: row, X: row},
		"update: P is missing":                               Update{},
		"update: U has 4 elements, want 6":                   Update{P: row, U: col},
		"update: Work has 4 elements, want 6":                Update{P: row, U: row, Work: col},
		"matmul: A is 4x6 with stride 6, but its buffer has": MatMul{C: x, A: Mat(buf(23), 4, 6), B: mat(6, 6)},
	} {
		wantError(t, op.Check(), want)
	}
	wantPanic(t, "kernels: update: P is missing", func() { Must(Update{}.Check()) })
}

func TestMatMulDims(t *testing.T) {
	op := MatMul{A: mat(2, 3), B: mat(5, 2), TransA: true, TransB: true}
	if m, n, k := op.Dims(); m != 3 || n != 5 || k != 2 || op.FLOPs() != 60 {
		t.Errorf("Dims = %d, %d, %d and %d FLOPs, want 3, 5, 2 and 60", m, n, k, op.FLOPs())
	}
}

func TestBiasCorrections(t *testing.T) {
	c1, c2 := AdamW{Beta1: 0.5, Beta2: 0.75, Step: 2}.BiasCorrections()
	if c1 != 0.75 || c2 != 0.4375 {
		t.Errorf("corrections %v and %v, want 0.75 and 0.4375", c1, c2)
	}
}

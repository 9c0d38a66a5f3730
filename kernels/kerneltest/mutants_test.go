package kerneltest

import (
	"strings"
	"testing"

	"parallax/kernels"
	"parallax/kernels/ref"
)

// mutant is the oracle with one mistake in it.
type mutant struct {
	kernels.Backend
	calls int

	matmul            func(m *mutant, op kernels.MatMul)
	attention         func(m *mutant, op kernels.Attention)
	attentionBackward func(m *mutant, op kernels.AttentionBackward)
	rmsnorm           func(m *mutant, op kernels.RMSNorm)
	rmsnormBackward   func(m *mutant, op kernels.RMSNormBackward)
	rotary            func(m *mutant, op kernels.HeadRotary)
	rotaryBackward    func(m *mutant, op kernels.HeadRotaryBackward)
	swigluBackward    func(m *mutant, op kernels.SwiGLUBackward)
	embeddingBackward func(m *mutant, op kernels.EmbeddingBackward)
	headLoss          func(m *mutant, op kernels.HeadLoss)
	adamw             func(m *mutant, op kernels.AdamW)
	momentum          func(m *mutant, op kernels.Momentum)
	sumSquares        func(m *mutant, dst, x kernels.Buffer, accumulate bool)
	copied            func(m *mutant, dst, src kernels.Buffer)
	quantize          func(m *mutant, op kernels.Quantize)
	dequantize        func(m *mutant, op kernels.Dequantize)
	copyOut           func(m *mutant, dst []byte, src kernels.Buffer) kernels.Event
	alloc             func(m *mutant, dt kernels.DType, n int) (kernels.Buffer, error)
}

// call runs the mistake where there is one, and else the oracle.
func call[Op any](m *mutant, mistake func(*mutant, Op), right func(Op), op Op) {
	if mistake == nil {
		right(op)
		return
	}
	m.calls++
	mistake(m, op)
}

func (m *mutant) MatMul(op kernels.MatMul)       { call(m, m.matmul, m.Backend.MatMul, op) }
func (m *mutant) Attention(op kernels.Attention) { call(m, m.attention, m.Backend.Attention, op) }
func (m *mutant) AttentionBackward(op kernels.AttentionBackward) {
	call(m, m.attentionBackward, m.Backend.AttentionBackward, op)
}
func (m *mutant) RMSNorm(op kernels.RMSNorm) { call(m, m.rmsnorm, m.Backend.RMSNorm, op) }
func (m *mutant) RMSNormBackward(op kernels.RMSNormBackward) {
	call(m, m.rmsnormBackward, m.Backend.RMSNormBackward, op)
}
func (m *mutant) HeadRotary(op kernels.HeadRotary) { call(m, m.rotary, m.Backend.HeadRotary, op) }
func (m *mutant) HeadRotaryBackward(op kernels.HeadRotaryBackward) {
	call(m, m.rotaryBackward, m.Backend.HeadRotaryBackward, op)
}
func (m *mutant) SwiGLUBackward(op kernels.SwiGLUBackward) {
	call(m, m.swigluBackward, m.Backend.SwiGLUBackward, op)
}
func (m *mutant) EmbeddingBackward(op kernels.EmbeddingBackward) {
	call(m, m.embeddingBackward, m.Backend.EmbeddingBackward, op)
}
func (m *mutant) HeadLoss(op kernels.HeadLoss) { call(m, m.headLoss, m.Backend.HeadLoss, op) }
func (m *mutant) AdamW(op kernels.AdamW)       { call(m, m.adamw, m.Backend.AdamW, op) }
func (m *mutant) Momentum(op kernels.Momentum) { call(m, m.momentum, m.Backend.Momentum, op) }

func (m *mutant) Quantize(op kernels.Quantize) { call(m, m.quantize, m.Backend.Quantize, op) }
func (m *mutant) Dequantize(op kernels.Dequantize) {
	call(m, m.dequantize, m.Backend.Dequantize, op)
}

func (m *mutant) SumSquares(dst, x kernels.Buffer, accumulate bool) {
	if m.sumSquares == nil {
		m.Backend.SumSquares(dst, x, accumulate)
		return
	}
	m.sumSquares(m, dst, x, accumulate)
}

func (m *mutant) Copy(dst, src kernels.Buffer) {
	if m.copied == nil {
		m.Backend.Copy(dst, src)
		return
	}
	m.copied(m, dst, src)
}

func (m *mutant) CopyOut(dst []byte, src kernels.Buffer) kernels.Event {
	if m.copyOut == nil {
		return m.Backend.CopyOut(dst, src)
	}
	return m.copyOut(m, dst, src)
}

func (m *mutant) Alloc(dt kernels.DType, n int) (kernels.Buffer, error) {
	if m.alloc == nil {
		return m.Backend.Alloc(dt, n)
	}
	return m.alloc(m, dt, n)
}

// operationMutants each break one operation; want is part of the message of the
// first check that notices.
var operationMutants = map[string]struct {
	group, want string
	mutant      mutant
}{
	"matmul takes Stride for Cols": {"matmul", "C: ", mutant{matmul: func(m *mutant, op kernels.MatMul) {
		op.A.Stride = op.A.Cols
		m.Backend.MatMul(op)
	}}},
	"matmul forgets Add": {"matmul", "C: ", mutant{matmul: func(m *mutant, op kernels.MatMul) {
		op.Beta = 0
		m.Backend.MatMul(op)
	}}},
	"matmul reads C without a Beta": {"matmul", "C: ", mutant{matmul: func(m *mutant, op kernels.MatMul) {
		if op.Beta == 0 {
			op.Beta, op.Add = 1, op.C
		}
		m.Backend.MatMul(op)
	}}},
	"matmul swaps the transposes": {"matmul", "C: ", mutant{matmul: func(m *mutant, op kernels.MatMul) {
		if op.A.Rows == op.A.Cols && op.B.Rows == op.B.Cols {
			op.TransA, op.TransB = op.TransB, op.TransA
		}
		m.Backend.MatMul(op)
	}}},
	"matmul writes between rows": {"matmul", "C: 31x3", mutant{matmul: func(m *mutant, op kernels.MatMul) {
		if op.Beta == 0 && op.C.Rows == 31 {
			m.Backend.Zero(op.C.Buf)
		}
		m.Backend.MatMul(op)
	}}},
	"matmul scribbles on its input": {"matmul", "A: ", mutant{matmul: func(m *mutant, op kernels.MatMul) {
		m.Backend.MatMul(op)
		if !op.Symmetric {
			m.Backend.MatMul(kernels.MatMul{C: op.A, A: op.A, B: op.A, Alpha: 0, Beta: 2, Add: op.A, TransB: true})
		}
	}}},
	"matmul is not reproducible": {"matmul", "differs from one run to the next", mutant{matmul: func(m *mutant, op kernels.MatMul) {
		op.Alpha *= 1 + 1e-15*float64(m.calls)
		m.Backend.MatMul(op)
	}}},
	"matmul loses a symmetric triangle": {"matmul", "symmetric", mutant{matmul: func(m *mutant, op kernels.MatMul) {
		if op.Symmetric {
			op.C.Rows--
			op.A.Rows--
			op.Add.Rows--
			op.Symmetric = false
		}
		m.Backend.MatMul(op)
	}}},
	"attention ignores the window": {"attention", "window", mutant{attention: func(m *mutant, op kernels.Attention) {
		op.Window = 0
		m.Backend.Attention(op)
	}}},
	"attention's window is one too wide": {"attention", "window", mutant{attention: func(m *mutant, op kernels.Attention) {
		if op.Window > 0 {
			op.Window++
		}
		m.Backend.Attention(op)
	}}},
	"attention ignores documents": {"attention", "documents", mutant{attention: func(m *mutant, op kernels.Attention) {
		op.DocStart = nil
		m.Backend.Attention(op)
	}}},
	"attention has a scale of its own": {"attention", "O: ", mutant{attention: func(m *mutant, op kernels.Attention) {
		op.Scale *= 1.001
		m.Backend.Attention(op)
	}}},
	"attention does not save tbar": {"attention", "TBar: ", mutant{attention: func(m *mutant, op kernels.Attention) {
		m.Backend.Attention(op)
		if op.TBar != nil {
			m.Backend.Zero(op.TBar)
		}
	}}},
	"attention backward leaves the tbar term out": {"attention", "DQ: ", mutant{attentionBackward: func(m *mutant, op kernels.AttentionBackward) {
		if op.TBar != nil {
			zeros, err := m.Backend.Alloc(op.TBar.DType(), op.TBar.Len())
			kernels.Must(err)
			op.TBar = zeros
		}
		m.Backend.AttentionBackward(op)
	}}},
	"attention backward takes o for vbar": {"attention", "DQ: ", mutant{attentionBackward: func(m *mutant, op kernels.AttentionBackward) {
		op.VBar = op.O
		m.Backend.AttentionBackward(op)
	}}},
	"attention backward ignores the window": {"attention", "window", mutant{attentionBackward: func(m *mutant, op kernels.AttentionBackward) {
		op.Window = 0
		m.Backend.AttentionBackward(op)
	}}},
	"rmsnorm ignores Eps": {"rmsnorm", "Y: ", mutant{rmsnorm: func(m *mutant, op kernels.RMSNorm) {
		op.Eps = 0
		m.Backend.RMSNorm(op)
	}}},
	"rmsnorm backward forgets Add": {"rmsnorm", "with Add", mutant{rmsnormBackward: func(m *mutant, op kernels.RMSNormBackward) {
		op.Add = kernels.Matrix{}
		m.Backend.RMSNormBackward(op)
	}}},
	"rmsnorm backward overwrites DGain": {"rmsnorm", "DGain: ", mutant{rmsnormBackward: func(m *mutant, op kernels.RMSNormBackward) {
		m.Backend.Zero(op.DGain)
		m.Backend.RMSNormBackward(op)
	}}},
	"head rotary runs on into the next sequence": {"head rotary", "B2", mutant{rotary: func(m *mutant, op kernels.HeadRotary) {
		if half := op.X.Rows / 2; half == op.SeqLen {
			op.X.Buf = op.X.Buf.Slice(0, op.X.Buf.Len())
			op.X.Rows, op.Y.Rows = half, half // the second sequence is not written
			if op.RStd != nil {
				op.RStd = op.RStd.Slice(0, half*op.Heads)
			}
		}
		m.Backend.HeadRotary(op)
	}}},
	"head rotary backward turns the wrong way": {"head rotary", "DX: ", mutant{rotaryBackward: func(m *mutant, op kernels.HeadRotaryBackward) {
		if op.Gain == nil {
			m.Backend.HeadRotary(kernels.HeadRotary{Y: op.DX, X: op.DY, Heads: op.Heads, HeadDim: op.HeadDim, SeqLen: op.SeqLen, Table: op.Table})
			return
		}
		m.Backend.HeadRotaryBackward(op)
	}}},
	"swiglu backward swaps its gradients": {"swiglu", "swiglu", mutant{swigluBackward: func(m *mutant, op kernels.SwiGLUBackward) {
		op.DGate, op.DUp = op.DUp, op.DGate
		m.Backend.SwiGLUBackward(op)
	}}},
	"embedding backward overwrites": {"embedding", "DW: ", mutant{embeddingBackward: func(m *mutant, op kernels.EmbeddingBackward) {
		if op.DW.Cols == op.DW.Stride {
			m.Backend.Zero(op.DW.Buf)
		}
		m.Backend.EmbeddingBackward(op)
	}}},
	"head loss forgets Scale": {"head loss", "DX: ", mutant{headLoss: func(m *mutant, op kernels.HeadLoss) {
		op.Scale = 1
		m.Backend.HeadLoss(op)
	}}},
	"head loss overwrites DW": {"head loss", "DW: ", mutant{headLoss: func(m *mutant, op kernels.HeadLoss) {
		if !op.DW.Empty() && op.DW.Stride == op.DW.Cols {
			m.Backend.Zero(op.DW.Buf)
		}
		m.Backend.HeadLoss(op)
	}}},
	"head loss has no loss to evaluate": {"head loss", "Loss: ", mutant{headLoss: func(m *mutant, op kernels.HeadLoss) {
		if !op.DX.Empty() {
			m.Backend.HeadLoss(op)
		}
	}}},
	"adamw counts steps from 0": {"optimizer", "adamw step 1 n 1: P: ", mutant{adamw: func(m *mutant, op kernels.AdamW) {
		op.Step++
		m.Backend.AdamW(op)
	}}},
	"adamw does not decay": {"optimizer", "adamw step 1 n 1: P: ", mutant{adamw: func(m *mutant, op kernels.AdamW) {
		op.WeightDecay = 0
		m.Backend.AdamW(op)
	}}},
	"adamw forgets Work": {"optimizer", "Work: ", mutant{adamw: func(m *mutant, op kernels.AdamW) {
		op.Work = nil
		m.Backend.AdamW(op)
	}}},
	"momentum is always Nesterov's": {"optimizer", "momentum nesterov false n 1: U: ", mutant{momentum: func(m *mutant, op kernels.Momentum) {
		op.Nesterov = true
		m.Backend.Momentum(op)
	}}},
	"sum of squares never accumulates": {"optimizer", "Both: ", mutant{sumSquares: func(m *mutant, dst, x kernels.Buffer, _ bool) {
		m.Backend.SumSquares(dst, x, false)
	}}},
	"quantize never accumulates": {"quantize", "Sum: ", mutant{quantize: func(m *mutant, op kernels.Quantize) {
		op.Accumulate = false
		m.Backend.Quantize(op)
	}}},
	"quantize clamps one bit early": {"quantize", "Sum: ", mutant{quantize: func(m *mutant, op kernels.Quantize) {
		op.Bits, op.Exponent = op.Bits-1, op.Exponent-1
		m.Backend.Quantize(op)
	}}},
	"quantize leaves the gradient": {"quantize", "G0: ", mutant{quantize: func(m *mutant, op kernels.Quantize) {
		g, _ := m.Backend.Alloc(kernels.F32, op.G.Len())
		m.Backend.Copy(g, op.G)
		op.G = g
		m.Backend.Quantize(op)
	}}},
	"quantize forgets earlier peaks": {"quantize", "Finite: ", mutant{quantize: func(m *mutant, op kernels.Quantize) {
		m.Backend.Zero(op.Peak)
		m.Backend.Quantize(op)
	}}},
	"dequantize is a unit off": {"quantize", "G: ", mutant{dequantize: func(m *mutant, op kernels.Dequantize) {
		op.Bits--
		m.Backend.Dequantize(op)
	}}},
	"copy forgets its last element": {"copy", "Dst: ", mutant{copied: func(m *mutant, dst, src kernels.Buffer) {
		m.Backend.Copy(dst.Slice(0, dst.Len()-1), src.Slice(0, src.Len()-1))
	}}},
}

// tight is below what any of the mistakes does.
var tight = Tolerance{Compute: Limit{1e-9, 1e-9}, Master: Limit{1e-9, 1e-9}}

func TestSuiteCatchesBrokenOperations(t *testing.T) {
	skipUnderRace(t)
	groups := map[string][]check{}
	for _, g := range suite() {
		groups[g.name] = g.checks
	}
	for name, test := range operationMutants {
		t.Run(name, func(t *testing.T) {
			m := test.mutant
			m.Backend = ref.New()
			for _, c := range groups[test.group] {
				if c.large {
					continue
				}
				want, err := c.execute(ref.New(), m.Info().Precision)
				if err != nil {
					t.Fatal(err)
				}
				if err := c.against(&m, want, tight); err != nil {
					if !strings.Contains(err.Error(), test.want) {
						t.Errorf("the first failure is %q, want one that says %q", err, test.want)
					}
					return
				}
			}
			t.Errorf("all checks of %s passed", test.group)
		})
	}
}

// instant is an event that waits for nothing.
type instant struct{}

func (instant) Wait() error { return nil }

func TestSuiteCatchesBrokenQueues(t *testing.T) {
	for name, test := range map[string]struct {
		check, want string
		mutant      mutant
	}{
		"alloc returns dirty memory": {"alloc is zeroed", "zeroed false", mutant{alloc: func(m *mutant, dt kernels.DType, n int) (kernels.Buffer, error) {
			buf, err := m.Backend.Alloc(dt, n)
			if err == nil && n > 0 {
				err = m.Backend.CopyIn(buf, []byte{1, 1, 1, 1}[:dt.Size()]).Wait()
			}
			return buf, err
		}}},
		"an event does not wait": {"round trip", "they differ", mutant{copyOut: func(*mutant, []byte, kernels.Buffer) kernels.Event {
			return instant{}
		}}},
		"copies read the start of the buffer": {"slices", "writing to a slice gave", mutant{copyOut: func(m *mutant, dst []byte, src kernels.Buffer) kernels.Event {
			half := len(dst) / 2
			return m.Backend.CopyOut(dst[:half], src)
		}}},
		"shapes are not checked": {"bad shape panics", "want Check's message", mutant{matmul: func(*mutant, kernels.MatMul) {}}},
		"an allocator without bounds": {"alloc too much", "succeeded", mutant{alloc: func(m *mutant, dt kernels.DType, n int) (kernels.Buffer, error) {
			return m.Backend.Alloc(dt, min(n, 1000))
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			m := test.mutant
			m.Backend = ref.New()
			for _, c := range queueChecks {
				if c.name != test.check {
					continue
				}
				if err := c.run(&m); err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("error %v, want one that says %q", err, test.want)
				}
				return
			}
			t.Fatalf("there is no check %q", test.check)
		})
	}
}

// TestThreadsThatDiffer runs one backend against another that rounds otherwise.
func TestThreadsThatDiffer(t *testing.T) {
	other := &mutant{Backend: ref.New(), rmsnorm: func(m *mutant, op kernels.RMSNorm) {
		op.Eps *= 1 + 1e-9
		m.Backend.RMSNorm(op)
	}}
	err := rmsnormChecks()[0].same(ref.New(), other, 3)
	if err == nil || !strings.Contains(err.Error(), "rmsnorm 1x2 x1: Y differs between 3 threads and 1: at row 0, column 0") {
		t.Errorf("error %v, want one that names the operation, the shape and the output", err)
	}
}

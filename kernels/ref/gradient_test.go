package ref

import (
	"math"
	"testing"

	"parallax/kernels"
)

func TestRMSNormGradient(t *testing.T) {
	const rows, cols = 3, 5
	forward := func(d device, in map[string]kernels.Buffer) (y, rstd kernels.Buffer) {
		y, rstd = d.zeros(rows*cols), d.zeros(rows)
		d.RMSNorm(kernels.RMSNorm{Y: kernels.Mat(y, rows, cols), X: kernels.Mat(in["x"], rows, cols), Gain: in["gain"], RStd: rstd, Eps: 1e-2})
		return y, rstd
	}
	for _, residual := range []bool{false, true} {
		c := gradientCase{
			name:    map[bool]string{false: "plain", true: "residual"}[residual],
			inputs:  map[string][]float64{"x": random(1, rows*cols), "gain": random(2, cols)},
			weights: random(3, rows*cols),
		}
		c.output = func(d device, in map[string]kernels.Buffer) kernels.Buffer {
			y, _ := forward(d, in)
			if residual { // y + 3x, so that 3 dy flows past the norm
				id := identity(d, cols)
				d.MatMul(kernels.MatMul{C: kernels.Mat(y, rows, cols), A: kernels.Mat(in["x"], rows, cols), B: id, Alpha: 3, Beta: 1, Add: kernels.Mat(y, rows, cols)})
			}
			return y
		}
		c.gradients = func(d device, in map[string]kernels.Buffer, dy kernels.Buffer) map[string]kernels.Buffer {
			_, rstd := forward(d, in)
			dx, dgain := d.zeros(rows*cols), d.zeros(cols)
			op := kernels.RMSNormBackward{DX: kernels.Mat(dx, rows, cols), DY: kernels.Mat(dy, rows, cols), X: kernels.Mat(in["x"], rows, cols), Gain: in["gain"], RStd: rstd, DGain: dgain}
			if residual {
				d.MatMul(kernels.MatMul{C: op.DX, A: op.DY, B: identity(d, cols), Alpha: 3})
				op.Add = op.DX
			}
			d.RMSNormBackward(op)
			return map[string]kernels.Buffer{"x": dx, "gain": dgain}
		}
		c.run(t)
	}
}

func identity(d device, n int) kernels.Matrix {
	x := make([]float64, n*n)
	for i := range n {
		x[i*n+i] = 1
	}
	return kernels.Mat(d.numbers(x...), n, n)
}

func TestHeadRotaryGradient(t *testing.T) {
	const seqLen, rows, heads, dim = 3, 6, 2, 4
	forward := func(d device, in map[string]kernels.Buffer) (y, rstd kernels.Buffer) {
		y = d.zeros(rows * heads * dim)
		op := kernels.HeadRotary{Y: kernels.Mat(y, rows, heads*dim), X: kernels.Mat(in["x"], rows, heads*dim), Heads: heads, HeadDim: dim, SeqLen: seqLen, Table: rotaryTable(d, seqLen, dim), Gain: in["gain"], Eps: 1e-2}
		if op.Gain != nil {
			op.RStd = d.zeros(rows * heads)
		}
		d.HeadRotary(op)
		return y, op.RStd
	}
	for _, norm := range []bool{false, true} {
		c := gradientCase{
			name:    map[bool]string{false: "rotation", true: "norm and rotation"}[norm],
			inputs:  map[string][]float64{"x": random(1, rows*heads*dim)},
			weights: random(3, rows*heads*dim),
		}
		if norm {
			c.inputs["gain"] = random(2, dim)
		}
		c.output = func(d device, in map[string]kernels.Buffer) kernels.Buffer {
			y, _ := forward(d, in)
			return y
		}
		c.gradients = func(d device, in map[string]kernels.Buffer, dy kernels.Buffer) map[string]kernels.Buffer {
			_, rstd := forward(d, in)
			grads := map[string]kernels.Buffer{"x": dy} // in place
			op := kernels.HeadRotaryBackward{DX: kernels.Mat(dy, rows, heads*dim), DY: kernels.Mat(dy, rows, heads*dim), Heads: heads, HeadDim: dim, SeqLen: seqLen, Table: rotaryTable(d, seqLen, dim)}
			if norm {
				grads["gain"] = d.zeros(dim)
				op.X, op.Gain, op.RStd, op.DGain = kernels.Mat(in["x"], rows, heads*dim), in["gain"], rstd, grads["gain"]
			}
			d.HeadRotaryBackward(op)
			return grads
		}
		c.run(t)
	}
}

func rotaryTable(d device, seqLen, dim int) kernels.Buffer {
	var table []float64
	for t := range seqLen {
		cos, sin := make([]float64, dim/2), make([]float64, dim/2)
		for i := range cos {
			sin[i], cos[i] = math.Sincos(float64(t) * math.Pow(10000, -float64(i)/float64(dim/2)))
		}
		table = append(append(table, cos...), sin...)
	}
	return d.numbers(table...)
}

func TestSwiGLUGradient(t *testing.T) {
	const rows, cols = 3, 4
	mat := func(b kernels.Buffer) kernels.Matrix { return kernels.Mat(b, rows, cols) }
	gradientCase{
		name:    "swiglu",
		inputs:  map[string][]float64{"gate": random(1, rows*cols), "up": random(2, rows*cols)},
		weights: random(3, rows*cols),
		output: func(d device, in map[string]kernels.Buffer) kernels.Buffer {
			y := d.zeros(rows * cols)
			d.SwiGLU(kernels.SwiGLU{Y: mat(y), Gate: mat(in["gate"]), Up: mat(in["up"])})
			return y
		},
		gradients: func(d device, in map[string]kernels.Buffer, dy kernels.Buffer) map[string]kernels.Buffer {
			// In place: the gradients replace what they are gradients to.
			d.SwiGLUBackward(kernels.SwiGLUBackward{DGate: mat(in["gate"]), DUp: mat(in["up"]), DY: mat(dy), Gate: mat(in["gate"]), Up: mat(in["up"])})
			return in
		},
	}.run(t)
}

func TestEmbeddingGradient(t *testing.T) {
	const vocabulary, width = 5, 3
	tokens := []int32{4, 0, 4, 2, 4, 0}
	gradientCase{
		name:    "repeated tokens",
		inputs:  map[string][]float64{"w": random(1, vocabulary*width)},
		weights: random(2, len(tokens)*width),
		output: func(d device, in map[string]kernels.Buffer) kernels.Buffer {
			y := d.zeros(len(tokens) * width)
			d.Embedding(kernels.Embedding{Y: kernels.Mat(y, len(tokens), width), W: kernels.Mat(in["w"], vocabulary, width), Tokens: d.ints(tokens...)})
			return y
		},
		gradients: func(d device, _ map[string]kernels.Buffer, dy kernels.Buffer) map[string]kernels.Buffer {
			dw := d.zeros(vocabulary * width)
			d.EmbeddingBackward(kernels.EmbeddingBackward{DW: kernels.Mat(dw, vocabulary, width), DY: kernels.Mat(dy, len(tokens), width), Tokens: d.ints(tokens...)})
			return map[string]kernels.Buffer{"w": dw}
		},
	}.run(t)
}

func TestHeadLossGradient(t *testing.T) {
	const rows, vocabulary, width = 4, 7, 3
	const scale = 0.25
	targets := []int32{6, -1, 0, 6}
	op := func(d device, in map[string]kernels.Buffer) kernels.HeadLoss {
		return kernels.HeadLoss{X: kernels.Mat(in["x"], rows, width), W: kernels.Mat(in["w"], vocabulary, width), Targets: d.ints(targets...), Loss: d.zeros(rows), Scale: scale}
	}
	gradientCase{
		name:    "one target ignored",
		inputs:  map[string][]float64{"x": random(1, rows*width), "w": random(2, vocabulary*width)},
		weights: []float64{scale, scale, scale, scale},
		output: func(d device, in map[string]kernels.Buffer) kernels.Buffer {
			op := op(d, in)
			d.HeadLoss(op)
			return op.Loss
		},
		gradients: func(d device, in map[string]kernels.Buffer, _ kernels.Buffer) map[string]kernels.Buffer {
			op := op(d, in)
			dx, dw := d.zeros(rows*width), d.zeros(vocabulary*width)
			op.DX, op.DW = kernels.Mat(dx, rows, width), kernels.Mat(dw, vocabulary, width)
			d.HeadLoss(op)
			return map[string]kernels.Buffer{"x": dx, "w": dw}
		},
	}.run(t)
}

func TestMatMulGradient(t *testing.T) {
	// C = 1.5 A B^T. Its gradients are the products that the model's linear
	// layers use: dA = 1.5 dC B, dB = 1.5 dC^T A.
	const m, n, k = 3, 2, 4
	gradientCase{
		name:    "linear layer",
		inputs:  map[string][]float64{"a": random(1, m*k), "b": random(2, n*k)},
		weights: random(3, m*n),
		output: func(d device, in map[string]kernels.Buffer) kernels.Buffer {
			c := d.zeros(m * n)
			d.MatMul(kernels.MatMul{C: kernels.Mat(c, m, n), A: kernels.Mat(in["a"], m, k), B: kernels.Mat(in["b"], n, k), TransB: true, Alpha: 1.5})
			return c
		},
		gradients: func(d device, in map[string]kernels.Buffer, dc kernels.Buffer) map[string]kernels.Buffer {
			da, db := d.zeros(m*k), d.zeros(n*k)
			d.MatMul(kernels.MatMul{C: kernels.Mat(da, m, k), A: kernels.Mat(dc, m, n), B: kernels.Mat(in["b"], n, k), Alpha: 1.5})
			d.MatMul(kernels.MatMul{C: kernels.Mat(db, n, k), A: kernels.Mat(dc, m, n), B: kernels.Mat(in["a"], m, k), TransA: true, Alpha: 1.5})
			return map[string]kernels.Buffer{"a": da, "b": db}
		},
	}.run(t)
}

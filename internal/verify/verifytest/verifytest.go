// Package verifytest makes reference files for the tests of package verify and of
// the command that uses it: random inputs, and the float64 oracle's outputs.
package verifytest

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"parallax/internal/safetensors"
	"parallax/kernels"
	"parallax/kernels/ref"
)

// Case is an attention problem. A Scale of 0 means the default, 1/sqrt(HeadDim),
// which the file then does not name.
type Case struct {
	kernels.AttentionShape
	Probe     bool  // Parallax, else softmax attention
	CuSeqlens []int // nil: a document per sequence
}

// File is a reference before it is written, for tests to spoil.
type File struct {
	Tensors  map[string]*Tensor
	Metadata map[string]string
}

// Tensor is one of a File's.
type Tensor struct {
	Shape []int
	Data  []float32
}

// New solves a case.
func New(c Case) (*File, error) {
	f := &File{Tensors: map[string]*Tensor{}, Metadata: c.metadata()}
	random := rand.New(rand.NewPCG(1, 2))
	for _, name := range []string{"q", "r", "k", "v", "grad_o"} {
		if name == "r" && !c.Probe {
			continue
		}
		t := f.add(name, c.shapeOf(name))
		for i := range t.Data {
			t.Data[i] = float32(random.NormFloat64())
		}
	}
	return f, c.solve(f)
}

// Write writes the file.
func (f *File) Write(path string) error {
	var declared []safetensors.Tensor
	for _, name := range slices.Sorted(maps.Keys(f.Tensors)) {
		declared = append(declared, safetensors.Tensor{Name: name, DType: safetensors.F32, Shape: f.Tensors[name].Shape})
	}
	_, err := safetensors.WriteFile(path, declared, f.Metadata, func(w *safetensors.Writer) error {
		for _, t := range declared {
			if err := safetensors.Write(w, t.Name, f.Tensors[t.Name].Data); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

func (f *File) add(name string, shape []int) *Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	f.Tensors[name] = &Tensor{shape, make([]float32, n)}
	return f.Tensors[name]
}

func (c Case) metadata() map[string]string {
	m := map[string]string{}
	if c.Scale != 0 {
		m["scale"] = fmt.Sprint(c.Scale)
	}
	if c.Window != 0 {
		m["window"] = fmt.Sprint(c.Window)
	}
	if c.CuSeqlens != nil {
		m["cu_seqlens"] = strings.Trim(strings.ReplaceAll(fmt.Sprint(c.CuSeqlens), " ", ","), "[]")
	}
	return m
}

// shapeOf is a tensor's shape, by the head that its name ends with.
func (c Case) shapeOf(name string) []int {
	heads := c.QHeads
	if strings.HasSuffix(name, "k") || strings.HasSuffix(name, "v") {
		heads = c.KVHeads
	}
	return []int{c.Batch, c.SeqLen, heads, c.HeadDim}
}

// oracle is a case on the reference backend.
type oracle struct {
	Case
	be   *ref.Backend
	file *File
	err  error
}

// solve adds the outputs to the file.
func (c Case) solve(f *File) error {
	if c.Scale == 0 {
		c.Scale = 1 / math.Sqrt(float64(c.HeadDim))
	}
	o := &oracle{Case: c, be: ref.New(), file: f}
	if c.CuSeqlens != nil {
		starts, err := kernels.DocStarts(c.CuSeqlens, c.Batch, c.SeqLen)
		if err != nil {
			return err
		}
		o.DocStart = o.alloc(kernels.I32, len(starts))
		o.note(o.be.CopyIn(o.DocStart, kernels.Bytes(starts)).Wait())
	}
	outputs := o.run()
	for name, m := range outputs {
		values, err := kernels.ReadFloats(o.be, m.Buf)
		if err != nil {
			return err
		}
		t := f.add(name, c.shapeOf(name))
		for i, v := range values {
			t.Data[i] = float32(v)
		}
	}
	return o.err
}

func (o *oracle) run() map[string]kernels.Matrix {
	stats := o.Batch * o.SeqLen * o.QHeads
	out := map[string]kernels.Matrix{}
	for _, name := range []string{"o", "grad_q", "grad_k", "grad_v"} {
		out[name] = o.matrix(name)
	}
	f := kernels.Attention{AttentionShape: o.AttentionShape, O: out["o"], Q: o.matrix("q"), K: o.matrix("k"), V: o.matrix("v"),
		LSE: o.alloc(kernels.F64, stats)}
	b := kernels.AttentionBackward{AttentionShape: o.AttentionShape, DQ: out["grad_q"], DK: out["grad_k"], DV: out["grad_v"],
		DO: o.matrix("grad_o")}
	if o.Probe {
		f.R, f.VBar, f.TBar = o.matrix("r"), o.matrix("vbar_o"), o.alloc(kernels.F64, stats)
		b.DR = o.matrix("grad_r")
		out["grad_r"] = b.DR
	}
	b.Q, b.R, b.K, b.V, b.O, b.VBar, b.LSE, b.TBar = f.Q, f.R, f.K, f.V, f.O, f.VBar, f.LSE, f.TBar
	o.be.Attention(f)
	o.be.AttentionBackward(b)
	return out
}

// matrix allocates a tensor, with the file's values if it has it.
func (o *oracle) matrix(name string) kernels.Matrix {
	s := o.shapeOf(name)
	rows, cols := s[0]*s[1], s[2]*s[3]
	b := o.alloc(kernels.F64, rows*cols)
	if t := o.file.Tensors[name]; t != nil {
		values := make([]float64, len(t.Data))
		for i, v := range t.Data {
			values[i] = float64(v)
		}
		o.note(kernels.WriteFloats(o.be, b, values))
	}
	return kernels.Mat(b, rows, cols)
}

func (o *oracle) alloc(dt kernels.DType, n int) kernels.Buffer {
	b, err := o.be.Alloc(dt, n)
	o.note(err)
	return b
}

// note keeps the first error.
func (o *oracle) note(err error) {
	if o.err == nil {
		o.err = err
	}
}

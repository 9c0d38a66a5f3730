package verify

import (
	"fmt"

	"parallax/kernels"
)

// Run computes the outputs on a backend and compares those that the reference
// has, in a fixed order.
func (r *Reference) Run(be kernels.Backend) ([]Comparison, error) {
	d := &device{be: be, reference: r, matrices: map[string]kernels.Matrix{}}
	defer d.free()
	if err := d.load(); err != nil {
		return nil, err
	}
	forward := d.forward()
	be.Attention(forward)
	if r.tensors["grad_o"] != nil {
		be.AttentionBackward(d.backward(forward))
	}
	var results []Comparison
	for _, output := range []string{"o", "grad_q", "grad_r", "grad_k", "grad_v"} {
		want := r.tensors[output]
		if want == nil {
			continue
		}
		got, err := kernels.ReadFloats(be, d.matrices[output].Buf)
		if err != nil {
			return nil, err
		}
		results = append(results, compare(output, got, want))
	}
	return results, nil
}

// device holds a reference's tensors, and the outputs, on a backend.
type device struct {
	be        kernels.Backend
	reference *Reference
	buffers   []kernels.Buffer
	matrices  map[string]kernels.Matrix
	vbar      kernels.Matrix
	lse, tbar kernels.Buffer
	docStart  kernels.Buffer
}

func (d *device) free() {
	for _, b := range d.buffers {
		b.Free()
	}
}

func (d *device) load() (err error) {
	s := d.reference.Shape
	rows, q, k := s.Batch*s.SeqLen, s.QHeads*s.HeadDim, s.KVHeads*s.HeadDim
	for _, name := range queryLike {
		if d.matrices[name], err = d.matrix(name, rows, q); err != nil {
			return err
		}
	}
	for _, name := range keyLike {
		if d.matrices[name], err = d.matrix(name, rows, k); err != nil {
			return err
		}
	}
	if d.vbar, err = d.matrix("", rows, q); err != nil {
		return err
	}
	return d.loadVectors(rows * s.QHeads)
}

func (d *device) loadVectors(stats int) (err error) {
	master := d.be.Info().Precision.Master
	if d.lse, err = d.alloc(master, stats); err != nil {
		return err
	}
	if d.tbar, err = d.alloc(master, stats); err != nil {
		return err
	}
	if docs := d.reference.docs; docs != nil {
		if d.docStart, err = d.alloc(kernels.I32, len(docs)); err != nil {
			return err
		}
		return d.be.CopyIn(d.docStart, kernels.Bytes(docs)).Wait()
	}
	return nil
}

// matrix allocates a matrix, with the reference's tensor of that name if it is
// an input.
func (d *device) matrix(name string, rows, cols int) (kernels.Matrix, error) {
	b, err := d.alloc(d.be.Info().Precision.Compute, rows*cols)
	if err != nil {
		return kernels.Matrix{}, err
	}
	switch name {
	case "q", "r", "k", "v", "grad_o":
		if data := d.reference.tensors[name]; data != nil {
			err = kernels.WriteFloats(d.be, b, data)
		}
	}
	return kernels.Mat(b, rows, cols), err
}

func (d *device) alloc(dt kernels.DType, n int) (kernels.Buffer, error) {
	b, err := d.be.Alloc(dt, n)
	if err != nil {
		return nil, fmt.Errorf("the reference does not fit on %s: %w", d.be.Info().Device, err)
	}
	d.buffers = append(d.buffers, b)
	return b, nil
}

func (d *device) forward() kernels.Attention {
	m := d.matrices
	op := kernels.Attention{AttentionShape: d.reference.Shape, O: m["o"], Q: m["q"], K: m["k"], V: m["v"], LSE: d.lse}
	op.DocStart = d.docStart
	if d.reference.Probe {
		op.R, op.VBar, op.TBar = m["r"], d.vbar, d.tbar
	}
	return op
}

func (d *device) backward(f kernels.Attention) kernels.AttentionBackward {
	m := d.matrices
	op := kernels.AttentionBackward{AttentionShape: f.AttentionShape,
		DQ: m["grad_q"], DK: m["grad_k"], DV: m["grad_v"], DO: m["grad_o"],
		Q: f.Q, R: f.R, K: f.K, V: f.V, O: f.O, VBar: f.VBar, LSE: f.LSE, TBar: f.TBar}
	if d.reference.Probe {
		op.DR = m["grad_r"]
	}
	return op
}

package model

import "parallax/kernels"

// Parameters is the number of trained numbers. A tied head counts once.
func (c Config) Parameters() int64 {
	n := int64(0)
	for _, p := range NewLayout(c).Params {
		n += int64(p.Len())
	}
	return n
}

// FLOPs is a number of floating-point operations, a multiply and an add counted
// as two.
type FLOPs struct{ Forward, Backward int64 }

// Total is both passes.
func (f FLOPs) Total() int64 { return f.Forward + f.Backward }

// SequenceFLOPs is the model FLOPs of one sequence of seqLen tokens: the matrix
// products, attention and the head, exactly, with only the query-key pairs that
// causality and the window leave, and nothing for what a kernel computes twice.
// The work that is linear in the activations (norms, rotations, SiLU, softmax) is
// not counted, as is usual.
func (c Config) SequenceFLOPs(seqLen int) FLOPs {
	d, t := int64(c.Width), int64(seqLen)
	weights := int64(c.Layers)*d*int64(c.projected()+c.qCols()+3*c.FFN) + d*int64(c.Vocabulary)
	products := 2 * t * weights
	shape := c.attentionShape(1, seqLen)
	return FLOPs{
		Forward:  products + int64(c.Layers)*shape.ForwardFLOPs(c.Mixer.learned()),
		Backward: 2*products + int64(c.Layers)*shape.BackwardFLOPs(c.Mixer.learned()),
	}
}

// RecomputedFLOPs is what [Config.Recompute] computes a second time for a sequence
// of seqLen tokens, and model FLOPs do not count: the forward pass of all layers but
// the last one, which is still there when the backward pass begins, and but for the
// products with the down projections, whose results backward does not need.
func (c Config) RecomputedFLOPs(seqLen int) int64 {
	if !c.Recompute {
		return 0
	}
	d, t := int64(c.Width), int64(seqLen)
	weights := d * int64(c.projected()+c.qCols()+2*c.FFN)
	shape := c.attentionShape(1, seqLen)
	return int64(c.Layers-1) * (2*t*weights + shape.ForwardFLOPs(c.Mixer.learned()))
}

// FLOPsPerToken is the model FLOPs of a token, forward and backward, the mean
// over a sequence of seqLen. See [Config.SequenceFLOPs].
func (c Config) FLOPsPerToken(seqLen int) float64 {
	return float64(c.SequenceFLOPs(seqLen).Total()) / float64(seqLen)
}

// FLOPsPerToken6N is 6N + 12*L*H*D*T (Chowdhery et al. 2022, arXiv 2204.02311,
// appendix B), by which others publish: N all parameters, softmax attention over
// all T keys. It knows neither the probe nor causality nor the window.
func (c Config) FLOPsPerToken6N(seqLen int) float64 {
	return 6*float64(c.Parameters()) + 12*float64(c.Layers)*float64(c.qCols())*float64(seqLen)
}

// Bytes is the device memory that a [Model] takes.
type Bytes struct {
	Parameters  int64
	Work        int64 // the copy in the Compute type, 0 where the types are equal
	Gradients   int64
	Activations int64 // of a micro-batch, scratch included
}

// Total is the sum.
func (b Bytes) Total() int64 { return b.Parameters + b.Work + b.Gradients + b.Activations }

// Bytes is what [New] will allocate on a backend of the given precision.
func (c Config) Bytes(p kernels.Precision, batch, seqLen int) Bytes {
	compute, master := int64(p.Compute.Size()), int64(p.Master.Size())
	size := int64(NewLayout(c).Size)
	nc, nm := c.activationElements(batch, seqLen)
	b := Bytes{
		Parameters:  size * master,
		Gradients:   size * master,
		Activations: int64(nc)*compute + int64(nm)*master,
	}
	if p.Compute != p.Master {
		b.Work = size * compute
	}
	return b
}

package kernels

// Pairs is the number of query-key pairs that are scored: over all sequences
// and query heads, each query with the keys that causality and the window leave
// it. Document boundaries live on the device and are not counted, so with packed
// documents it is an upper bound.
func (s AttentionShape) Pairs() int64 {
	t, w := int64(s.SeqLen), int64(s.Window)
	if w == 0 || w > t {
		w = t
	}
	perHead := w*(w+1)/2 + (t-w)*w
	return int64(s.Batch) * int64(s.QHeads) * perHead
}

// ForwardFLOPs is the number of floating-point operations of the products over
// the head size: 2 products a pair (s, O1), and with a probe 4 (t, O2 besides).
func (s AttentionShape) ForwardFLOPs(probe bool) int64 {
	if probe {
		return s.products(4)
	}
	return s.products(2)
}

// BackwardFLOPs is as ForwardFLOPs: 4 products a pair (a, dq, dk, dv), and with a
// probe 6 (dr, and dk in two parts). Scores that a backend computes again do not
// count.
func (s AttentionShape) BackwardFLOPs(probe bool) int64 {
	if probe {
		return s.products(6)
	}
	return s.products(4)
}

// products is the cost of n products of length HeadDim for every pair.
func (s AttentionShape) products(n int64) int64 {
	return n * 2 * int64(s.HeadDim) * s.Pairs()
}

// FLOPs is the cost of the products over the head size, without recomputation.
func (op Attention) FLOPs() int64 { return op.ForwardFLOPs(!op.R.Empty()) }

// FLOPs is the cost of the products over the head size, without recomputation.
func (op AttentionBackward) FLOPs() int64 { return op.BackwardFLOPs(!op.R.Empty()) }

// FLOPs is the cost of the logits, and of both gradients where they are asked
// for, without recomputation.
func (op HeadLoss) FLOPs() int64 {
	logits := 2 * int64(op.X.Rows) * int64(op.X.Cols) * int64(op.W.Rows)
	if op.DX.Empty() {
		return logits
	}
	return 3 * logits
}

package kernels

import "fmt"

// AttentionShape is what forward and backward share. Query head h reads key
// head h / (QHeads/KVHeads).
//
// Query i of a sequence sees the keys j with
//
//	max(DocStart[i], i-Window+1) <= j <= i        (the Window term only if > 0)
type AttentionShape struct {
	Batch, SeqLen   int
	QHeads, KVHeads int
	HeadDim         int
	Scale           float64 // of q.k; usually 1/sqrt(HeadDim)
	Window          int     // 0: no sliding window
	// DocStart, [Batch*SeqLen] I32, holds for each position the position within
	// its sequence at which its document starts; it never decreases along a
	// sequence. nil: one document per sequence. See [DocStarts].
	DocStart Buffer
}

// Attention computes Parallax attention (Zuo et al. 2026, arXiv 2605.29157,
// Algorithm 1), or softmax attention when R is left out. Per head, with
// s_ij = Scale * q_i.k_j and t_ij = r_i.k_j (not scaled):
//
//	p_ij   = softmax of s_i. over the keys that i sees
//	tbar_i = sum_j p_ij t_ij         vbar_i = sum_j p_ij v_j
//	o_i    = sum_j p_ij (1 + tbar_i - t_ij) v_j
//	L_i    = log sum_j exp(s_ij)
//
// The weights sum to 1 and may be negative. r = 0 gives softmax attention. The
// output does not change under t_ij -> t_ij - c_i, which a backend may use where
// cancellation would cost digits.
type Attention struct {
	AttentionShape
	O    Matrix // [Batch*SeqLen, QHeads*HeadDim]
	Q, R Matrix // [Batch*SeqLen, QHeads*HeadDim]; R left out: softmax attention
	K, V Matrix // [Batch*SeqLen, KVHeads*HeadDim]
	// VBar is like O, written. It is left out without R, where it is O, and may be
	// where [Backend.NeedsVBar] says so.
	VBar Matrix
	// LSE and TBar, [Batch*QHeads*SeqLen] Master type, written: L and tbar of
	// head h and position t of sequence b at (b*QHeads+h)*SeqLen+t. TBar is nil
	// without R.
	LSE, TBar Buffer
}

// Check says what is wrong with the shapes.
func (op Attention) Check() error {
	err := op.check(op.Q, op.R, op.K, op.V, op.O, op.VBar, op.LSE, op.TBar)
	if err != nil {
		return fmt.Errorf("attention: %w", err)
	}
	return nil
}

// AttentionBackward is the gradient of [Attention]. With g = DO,
// a_ij = g_i.v_j, tau_i = g_i.o_i, beta_i = g_i.vbar_i, delta_ij = a_ij - beta_i:
//
//	ds_ij = p_ij (a_ij - tau_i + (tbar_i - t_ij) delta_ij)     dt_ij = -p_ij delta_ij
//	dq_i  = Scale * sum_j ds_ij k_j                            dr_i = sum_j dt_ij k_j
//	dk_j  = sum_i (Scale * ds_ij q_i + dt_ij r_i)              dv_j = sum_i w_ij g_i
//
// with w_ij = p_ij (1 + tbar_i - t_ij), and dk, dv summed over the query heads
// of a group. The gradients are written, not accumulated.
type AttentionBackward struct {
	AttentionShape
	DQ, DR, DK, DV Matrix // like Q, R, K, V; DR left out without R
	DO             Matrix // like O
	Q, R, K, V     Matrix
	O, VBar        Matrix
	LSE, TBar      Buffer
}

// Check says what is wrong with the shapes.
func (op AttentionBackward) Check() error {
	err := firstError(
		op.check(op.Q, op.R, op.K, op.V, op.O, op.VBar, op.LSE, op.TBar),
		op.DO.checkShape("DO", op.Q.Rows, op.Q.Cols),
		op.DQ.checkShape("DQ", op.Q.Rows, op.Q.Cols),
		op.DK.checkShape("DK", op.K.Rows, op.K.Cols),
		op.DV.checkShape("DV", op.K.Rows, op.K.Cols))
	if err == nil && !op.R.Empty() {
		err = op.DR.checkShape("DR", op.Q.Rows, op.Q.Cols)
	}
	if err != nil {
		return fmt.Errorf("attention backward: %w", err)
	}
	return nil
}

// CheckVBar says that VBar is left out, for a backend that cannot do without.
func (op Attention) CheckVBar() error { return checkVBar("attention", op.R, op.VBar) }

// CheckVBar is like [Attention.CheckVBar].
func (op AttentionBackward) CheckVBar() error { return checkVBar("attention backward", op.R, op.VBar) }

func checkVBar(op string, r, vbar Matrix) error {
	if !r.Empty() && vbar.Empty() {
		return fmt.Errorf("%s: VBar is left out, and this backend needs it", op)
	}
	return nil
}

func (s AttentionShape) check(q, r, k, v, o, vbar Matrix, lse, tbar Buffer) error {
	if err := s.Check(); err != nil {
		return err
	}
	rows, qcols, kcols := s.Batch*s.SeqLen, s.QHeads*s.HeadDim, s.KVHeads*s.HeadDim
	stats := s.Batch * s.QHeads * s.SeqLen
	err := firstError(q.checkShape("Q", rows, qcols), k.checkShape("K", rows, kcols), v.checkShape("V", rows, kcols),
		o.checkShape("O", rows, qcols), checkLen("LSE", lse, stats))
	if err == nil && !r.Empty() {
		err = firstError(r.checkShape("R", rows, qcols), checkLen("TBar", tbar, stats))
	}
	if err == nil && !r.Empty() && !vbar.Empty() {
		err = vbar.checkShape("VBar", rows, qcols)
	}
	if err == nil && s.DocStart != nil {
		err = checkLen("DocStart", s.DocStart, rows)
	}
	return err
}

// MaxHeadDim is the largest head size that backends serve.
const MaxHeadDim = 256

// Check says what is wrong with the sizes.
func (s AttentionShape) Check() error {
	switch {
	case s.Batch < 1 || s.SeqLen < 1:
		return fmt.Errorf("batch %d of sequences of %d", s.Batch, s.SeqLen)
	case s.HeadDim < 1 || s.HeadDim > MaxHeadDim:
		return fmt.Errorf("head size %d is not in 1..%d", s.HeadDim, MaxHeadDim)
	case s.KVHeads < 1 || s.QHeads < 1 || s.QHeads%s.KVHeads != 0:
		return fmt.Errorf("%d query heads are no multiple of %d key heads", s.QHeads, s.KVHeads)
	case s.Window < 0:
		return fmt.Errorf("window %d is negative", s.Window)
	}
	return nil
}

// DocStarts turns cumulative sequence lengths (cu_seqlens: 0, ..., batch*seqLen,
// over the flattened batch) into [AttentionShape.DocStart]'s contents. A
// document must not cross from one sequence into the next.
func DocStarts(cuSeqlens []int, batch, seqLen int) ([]int32, error) {
	total := batch * seqLen
	if len(cuSeqlens) < 2 || cuSeqlens[0] != 0 || cuSeqlens[len(cuSeqlens)-1] != total {
		return nil, fmt.Errorf("cu_seqlens must go from 0 to %d (batch %d x length %d)", total, batch, seqLen)
	}
	starts := make([]int32, total)
	for d := 1; d < len(cuSeqlens); d++ {
		lo, hi := cuSeqlens[d-1], cuSeqlens[d]
		if hi <= lo || hi > total {
			return nil, fmt.Errorf("cu_seqlens[%d] = %d after %d: it must increase and not pass %d", d, hi, lo, total)
		}
		if lo/seqLen != (hi-1)/seqLen {
			return nil, fmt.Errorf("cu_seqlens: document [%d, %d) crosses a boundary between sequences of %d", lo, hi, seqLen)
		}
		for i := lo; i < hi; i++ {
			starts[i] = int32(lo % seqLen)
		}
	}
	return starts, nil
}

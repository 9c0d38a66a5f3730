package kernels

import (
	"slices"
	"testing"
)

func TestDocStarts(t *testing.T) {
	got, err := DocStarts([]int{0, 1, 4, 6, 8}, 2, 4)
	if want := []int32{0, 1, 1, 1, 0, 0, 2, 2}; err != nil || !slices.Equal(got, want) {
		t.Errorf("DocStarts = %v, %v, want %v", got, err, want)
	}
	for _, test := range []struct {
		cu   []int
		want string
	}{
		{nil, "from 0 to 8 (batch 2 x length 4)"},
		{[]int{0}, "from 0 to 8"},
		{[]int{1, 4, 8}, "from 0 to 8"},
		{[]int{0, 4}, "from 0 to 8"},
		{[]int{0, 4, 4, 8}, "cu_seqlens[2] = 4 after 4"},
		{[]int{0, 4, 3, 8}, "cu_seqlens[2] = 3 after 4"},
		{[]int{0, 9, 8}, "cu_seqlens[1] = 9 after 0: it must increase and not pass 8"},
		{[]int{0, -1, 8}, "cu_seqlens[1] = -1 after 0"},
		{[]int{0, 3, 5, 8}, "document [3, 5) crosses a boundary between sequences of 4"},
		{[]int{0, 8}, "document [0, 8) crosses"},
	} {
		_, err := DocStarts(test.cu, 2, 4)
		wantError(t, err, test.want)
	}
}

func goodAttention() AttentionBackward {
	q, k, stats := mat(6, 8), mat(6, 4), buf(2*4*3)
	return AttentionBackward{
		AttentionShape: AttentionShape{Batch: 2, SeqLen: 3, QHeads: 4, KVHeads: 2, HeadDim: 2, Scale: 1, DocStart: ints(6)},
		DQ:             q, DR: q, DK: k, DV: k, DO: q,
		Q: q, R: q, K: k, V: k, O: q, VBar: q,
		LSE: stats, TBar: stats,
	}
}

func forwardOf(op AttentionBackward) Attention {
	return Attention{
		AttentionShape: op.AttentionShape,
		O:              op.O, Q: op.Q, R: op.R, K: op.K, V: op.V, VBar: op.VBar,
		LSE: op.LSE, TBar: op.TBar,
	}
}

// softmaxOf leaves out what softmax attention does not have.
func softmaxOf(op AttentionBackward) AttentionBackward {
	op.R, op.DR, op.VBar, op.TBar, op.DocStart = Matrix{}, Matrix{}, Matrix{}, nil, nil
	return op
}

func TestAttentionCheck(t *testing.T) {
	bare := goodAttention()
	bare.VBar = Matrix{}
	wantError(t, bare.CheckVBar(), "attention backward: VBar is left out, and this backend needs it")
	wantError(t, forwardOf(bare).CheckVBar(), "attention: VBar is left out, and this backend needs it")
	for _, good := range []AttentionBackward{goodAttention(), softmaxOf(goodAttention()), bare} {
		if err := firstError(good.Check(), forwardOf(good).Check()); err != nil {
			t.Error(err)
		}
	}
	for _, good := range []AttentionBackward{goodAttention(), softmaxOf(goodAttention())} {
		if err := good.CheckVBar(); err != nil {
			t.Error(err)
		}
	}
	for _, test := range []struct {
		spoil func(op *AttentionBackward)
		want  string
	}{
		{func(op *AttentionBackward) { op.Batch = 0 }, "batch 0 of sequences of 3"},
		{func(op *AttentionBackward) { op.HeadDim = 257 }, "head size 257 is not in 1..256"},
		{func(op *AttentionBackward) { op.KVHeads = 3 }, "4 query heads are no multiple of 3 key heads"},
		{func(op *AttentionBackward) { op.KVHeads = 0 }, "4 query heads are no multiple of 0"},
		{func(op *AttentionBackward) { op.Window = -1 }, "window -1 is negative"},
		{func(op *AttentionBackward) { op.Q = mat(6, 7) }, "Q is 6x7, want 6x8"},
		{func(op *AttentionBackward) { op.K = mat(6, 8) }, "K is 6x8, want 6x4"},
		{func(op *AttentionBackward) { op.V = Matrix{} }, "V is missing"},
		{func(op *AttentionBackward) { op.O = mat(5, 8) }, "O is 5x8, want 6x8"},
		{func(op *AttentionBackward) { op.R = mat(6, 4) }, "R is 6x4, want 6x8"},
		{func(op *AttentionBackward) { op.VBar = mat(6, 4) }, "VBar is 6x4, want 6x8"},
		{func(op *AttentionBackward) { op.TBar = nil }, "TBar is missing"},
		{func(op *AttentionBackward) { op.LSE = buf(6) }, "LSE has 6 elements, want 24"},
		{func(op *AttentionBackward) { op.DocStart = ints(3) }, "DocStart has 3 elements, want 6"},
	} {
		op := goodAttention()
		test.spoil(&op)
		wantError(t, op.Check(), "attention backward: "+test.want)
		wantError(t, forwardOf(op).Check(), "attention: "+test.want)
	}
	for name, spoil := range map[string]func(op *AttentionBackward){
		"DO is missing": func(op *AttentionBackward) { op.DO = Matrix{} },
		"DQ is 1x1":     func(op *AttentionBackward) { op.DQ = mat(1, 1) },
		"DR is missing": func(op *AttentionBackward) { op.DR = Matrix{} },
		"DK is 6x8":     func(op *AttentionBackward) { op.DK = op.Q },
		"DV is 6x8":     func(op *AttentionBackward) { op.DV = op.Q },
	} {
		op := goodAttention()
		spoil(&op)
		wantError(t, op.Check(), "attention backward: "+name)
	}
}

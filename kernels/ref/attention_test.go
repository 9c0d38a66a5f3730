package ref

import (
	"testing"

	"parallax/kernels"
)

// attentionTest is one attention problem: a shape, where its documents begin
// (nil: one per sequence), and the mixer.
type attentionTest struct {
	kernels.AttentionShape
	cuSeqlens []int
	parallax  bool
}

func (a attentionTest) rows() int  { return a.Batch * a.SeqLen }
func (a attentionTest) qSize() int { return a.rows() * a.QHeads * a.HeadDim }
func (a attentionTest) kSize() int { return a.rows() * a.KVHeads * a.HeadDim }

func (a attentionTest) qMat(b kernels.Buffer) kernels.Matrix {
	return kernels.Mat(b, a.rows(), a.QHeads*a.HeadDim)
}

func (a attentionTest) kMat(b kernels.Buffer) kernels.Matrix {
	return kernels.Mat(b, a.rows(), a.KVHeads*a.HeadDim)
}

func (a attentionTest) inputs() map[string][]float64 {
	in := map[string][]float64{"q": random(1, a.qSize()), "k": random(3, a.kSize()), "v": random(4, a.kSize())}
	if a.parallax {
		in["r"] = random(2, a.qSize())
	}
	return in
}

// forward runs the operation on in's q, r, k and v, and returns it with its
// outputs.
func (a attentionTest) forward(d device, in map[string]kernels.Buffer) kernels.Attention {
	op := kernels.Attention{
		AttentionShape: a.AttentionShape,
		O:              a.qMat(d.zeros(a.qSize())),
		Q:              a.qMat(in["q"]), K: a.kMat(in["k"]), V: a.kMat(in["v"]),
		LSE: d.zeros(a.Batch * a.QHeads * a.SeqLen),
	}
	if a.parallax {
		op.R, op.VBar = a.qMat(in["r"]), a.qMat(d.zeros(a.qSize()))
		op.TBar = d.zeros(op.LSE.Len())
	}
	if a.cuSeqlens != nil {
		starts, err := kernels.DocStarts(a.cuSeqlens, a.Batch, a.SeqLen)
		if err != nil {
			d.t.Fatal(err)
		}
		op.DocStart = d.ints(starts...)
	}
	d.Attention(op)
	return op
}

func (a attentionTest) backward(d device, in map[string]kernels.Buffer, do kernels.Buffer) map[string]kernels.Buffer {
	f := a.forward(d, in)
	grads := map[string]kernels.Buffer{"q": d.zeros(a.qSize()), "k": d.zeros(a.kSize()), "v": d.zeros(a.kSize())}
	op := kernels.AttentionBackward{
		AttentionShape: f.AttentionShape,
		DQ:             a.qMat(grads["q"]), DK: a.kMat(grads["k"]), DV: a.kMat(grads["v"]),
		DO: a.qMat(do),
		Q:  f.Q, R: f.R, K: f.K, V: f.V, O: f.O, VBar: f.VBar, LSE: f.LSE, TBar: f.TBar,
	}
	if a.parallax {
		grads["r"] = d.zeros(a.qSize())
		op.DR = a.qMat(grads["r"])
	}
	d.AttentionBackward(op)
	return grads
}

func TestAttentionGradient(t *testing.T) {
	shape := kernels.AttentionShape{Batch: 2, SeqLen: 6, QHeads: 2, KVHeads: 2, HeadDim: 3, Scale: 0.6}
	gqa, window := shape, shape
	gqa.QHeads, gqa.KVHeads = 4, 2
	window.Window = 3
	all := gqa
	all.Window = 2
	documents := []int{0, 1, 4, 6, 11, 12}
	for name, a := range map[string]attentionTest{
		"plain":            {AttentionShape: shape},
		"groups":           {AttentionShape: gqa},
		"window":           {AttentionShape: window},
		"documents":        {AttentionShape: shape, cuSeqlens: documents},
		"all of these":     {AttentionShape: all, cuSeqlens: documents},
		"one key":          {AttentionShape: kernels.AttentionShape{Batch: 1, SeqLen: 2, QHeads: 1, KVHeads: 1, HeadDim: 2, Scale: 1}},
		"head size of one": {AttentionShape: kernels.AttentionShape{Batch: 1, SeqLen: 5, QHeads: 2, KVHeads: 1, HeadDim: 1, Scale: 1}},
	} {
		for _, parallax := range []bool{false, true} {
			a.parallax = parallax
			gradientCase{
				name:    name + map[bool]string{false: ", softmax", true: ", parallax"}[parallax],
				inputs:  a.inputs(),
				weights: random(5, a.qSize()),
				output: func(d device, in map[string]kernels.Buffer) kernels.Buffer {
					return a.forward(d, in).O.Buf
				},
				gradients: a.backward,
			}.run(t)
		}
	}
}

func identityTest() attentionTest {
	return attentionTest{
		AttentionShape: kernels.AttentionShape{Batch: 1, SeqLen: 9, QHeads: 4, KVHeads: 2, HeadDim: 5, Scale: 0.4, Window: 6},
		cuSeqlens:      []int{0, 2, 9},
		parallax:       true,
	}
}

func uploadAll(d device, in map[string][]float64) map[string]kernels.Buffer {
	return gradientCase{inputs: in}.upload(d)
}

func TestZeroProbeIsSoftmaxAttention(t *testing.T) {
	d, a := newDevice(t), identityTest()
	in := a.inputs()
	clear(in["r"])
	with := a.forward(d, uploadAll(d, in))
	a.parallax = false
	without := a.forward(d, uploadAll(d, in))
	wantClose(t, "o with r = 0", d.read(with.O.Buf), d.read(without.O.Buf)...)
	wantClose(t, "vbar with r = 0", d.read(with.VBar.Buf), d.read(without.O.Buf)...)
	wantClose(t, "L with r = 0", d.read(with.LSE), d.read(without.LSE)...)
	wantClose(t, "tbar with r = 0", d.read(with.TBar), make([]float64, with.TBar.Len())...)
}

func TestWeightsSumToOne(t *testing.T) {
	d, a := newDevice(t), identityTest()
	in := a.inputs()
	ones := make([]float64, a.qSize())
	for i := range ones {
		ones[i] = 1
	}
	copy(in["v"], ones)
	f := a.forward(d, uploadAll(d, in))
	wantClose(t, "o of v = 1", d.read(f.O.Buf), ones...)
	wantClose(t, "vbar of v = 1", d.read(f.VBar.Buf), ones...)
}

// TestShiftOfProbeScores adds one vector to every key: s_ij and t_ij move by an
// amount that does not depend on j, and so o must not move.
func TestShiftOfProbeScores(t *testing.T) {
	d, a := newDevice(t), identityTest()
	in := a.inputs()
	before := d.read(a.forward(d, uploadAll(d, in)).O.Buf)
	shift := random(9, a.HeadDim)
	for i := range in["k"] {
		in["k"][i] += shift[i%a.HeadDim]
	}
	after := d.read(a.forward(d, uploadAll(d, in)).O.Buf)
	if e := relative(after, before); !(e < 1e-12) {
		t.Errorf("o moved by %.2g when every key was shifted", e)
	}
}

func TestAttentionByHand(t *testing.T) {
	// Two keys of size 1 with equal scores: p = 1/2 each. t = (2, 6), tbar = 4,
	// w = (1/2 (1+2), 1/2 (1-2)) = (3/2, -1/2), o = 3/2*10 - 1/2*20 = 5.
	d := newDevice(t)
	a := attentionTest{AttentionShape: kernels.AttentionShape{Batch: 1, SeqLen: 2, QHeads: 1, KVHeads: 1, HeadDim: 1, Scale: 1}, parallax: true}
	f := a.forward(d, uploadAll(d, map[string][]float64{"q": {0, 0}, "r": {1, 2}, "k": {1, 3}, "v": {10, 20}}))
	wantClose(t, "o", d.read(f.O.Buf), 10, 5)
	wantClose(t, "vbar", d.read(f.VBar.Buf), 10, 15)
	wantClose(t, "tbar", d.read(f.TBar), 1, 4)
	wantClose(t, "L", d.read(f.LSE), 0, 0.6931471805599453)
}

func TestAttentionRefusesForeignDocStart(t *testing.T) {
	d := newDevice(t)
	a := attentionTest{AttentionShape: kernels.AttentionShape{Batch: 1, SeqLen: 2, QHeads: 1, KVHeads: 1, HeadDim: 1, Scale: 1}}
	op := a.forward(d, uploadAll(d, a.inputs()))
	op.DocStart = d.ints(0, 2)
	d.Attention(op)
	wantError(t, d.Sync(), "position 1 of sequence 0 is in a document that starts at 2")
}

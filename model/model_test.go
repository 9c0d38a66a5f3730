package model

import (
	"slices"
	"strings"
	"testing"

	"parallax/kernels"
)

func TestZeroProbeIsSoftmax(t *testing.T) {
	const batch, seqLen = 2, 7
	be := oracle(t)
	for _, qkNorm := range []bool{true, false} {
		c := tiny()
		c.QKNorm = qkNorm
		parallax := newModel(t, be, c, batch, seqLen)
		c.Mixer = SoftmaxAttention
		softmax := newModel(t, be, c, batch, seqLen)
		copyShared(t, parallax, softmax)
		b := randomTokens(c, batch, seqLen, false).on(t, be)
		parallax.Evaluate(b)
		softmax.Evaluate(b)
		if e := relativeError(read(t, be, parallax.Losses()), read(t, be, softmax.Losses())); e > 1e-12 {
			t.Errorf("qk_norm=%t: losses differ by %g", qkNorm, e)
		}
	}
}

// copyShared gives parallax the parameters of softmax, and no probe.
func copyShared(t *testing.T, parallax, softmax *Model) {
	for _, p := range parallax.Layout().Params {
		dst := parallax.Layout().View(parallax.Params(), p).Buf
		if strings.HasSuffix(p.Name, "self_attn.r_proj.weight") {
			write(t, parallax.be, dst, make([]float64, p.Len()))
		} else if from, ok := softmax.Layout().Find(p.Name); ok {
			write(t, parallax.be, dst, read(t, softmax.be, softmax.Layout().View(softmax.Params(), from).Buf))
		}
	}
	parallax.SyncWork()
}

func TestGradientRangesAreFinalDescendAndCoverAll(t *testing.T) {
	for _, tied := range []bool{true, false} {
		c := tiny()
		c.Layers, c.TiedHead = 3, tied
		m := newModel(t, oracle(t), c, 2, 5)
		b := randomTokens(c, 2, 5, false).on(t, m.be)
		m.ZeroGrads()
		when := make([]float64, m.Layout().Size)
		end, calls := m.Layout().Size, 0
		m.ForwardBackward(b, 1, func(lo, hi int) {
			if hi != end || lo >= hi {
				t.Errorf("range [%d, %d) after one that began at %d", lo, hi, end)
			}
			end = lo
			calls++
			copy(when[lo:hi], read(t, m.be, m.Grads().Slice(lo, hi)))
		})
		if end != 0 || calls != c.Layers+2 {
			t.Errorf("tied=%t: %d ranges down to %d, want %d down to 0", tied, calls, end, c.Layers+2)
		}
		if !slices.Equal(when, read(t, m.be, m.Grads())) {
			t.Errorf("tied=%t: a gradient changed after its range was called final", tied)
		}
	}
}

func TestPassesLeaveGapsZero(t *testing.T) {
	c := tiny()
	m := newModel(t, oracle(t), c, 2, 5)
	grad := gradients(t, m, randomTokens(c, 2, 5, false).on(t, m.be), 1)
	params, at := read(t, m.be, m.Params()), 0
	gaps := 0
	for _, p := range append(m.Layout().Params, Param{Offset: m.Layout().Size}) {
		for ; at < p.Offset; at++ {
			gaps++
			if grad[at] != 0 || params[at] != 0 {
				t.Errorf("gap at %d before %s: parameter %g, gradient %g", at, p.Name, params[at], grad[at])
			}
		}
		at += p.Len()
	}
	if gaps == 0 {
		t.Error("this config has no gap, so the test says nothing")
	}
}

func TestLogitsAgreeWithTheLoss(t *testing.T) {
	const batch, seqLen, pos = 3, 6, 4
	c := tiny()
	m := newModel(t, oracle(t), c, batch, seqLen)
	host := randomTokens(c, batch, seqLen, false)
	host.targets[1*seqLen+pos] = 2
	b := host.on(t, m.be)
	logits, err := m.be.Alloc(kernels.F64, batch*c.Vocabulary)
	if err != nil {
		t.Fatal(err)
	}
	m.Evaluate(b)
	loss := read(t, m.be, m.Losses())[1*seqLen+pos]
	m.Logits(Batch{Tokens: b.Tokens}, pos, logits)
	row := read(t, m.be, logits)[c.Vocabulary : 2*c.Vocabulary]
	if want := logSumExp(row) - row[2]; relativeError([]float64{loss}, []float64{want}) > 1e-12 {
		t.Errorf("loss %g, from the logits %g", loss, want)
	}
}

func TestSameSeedSameBits(t *testing.T) {
	const batch, seqLen = 2, 9
	var runs [2][]float64
	for i := range runs {
		m := newModel(t, open(t, "cpu"), tiny(), batch, seqLen)
		runs[i] = gradients(t, m, randomTokens(tiny(), batch, seqLen, true).on(t, m.be), 1)
	}
	if !slices.Equal(runs[0], runs[1]) {
		t.Error("two runs of one model differ")
	}
}

func TestNewRefusesWhatDoesNotFit(t *testing.T) {
	be := oracle(t)
	huge := tiny()
	huge.Vocabulary, huge.Width = 1<<20, 1<<20
	for _, try := range []struct {
		name          string
		config        Config
		batch, seqLen int
		want          string
	}{
		{"a bad config", Config{}, 1, 1, "model.vocabulary"},
		{"an empty batch", tiny(), 0, 5, "empty"},
		{"a batch beyond counting", tiny(), 1 << 30, 1 << 30, "train.micro_batch"},
		{"a model beyond the device", huge, 1, 1, "micro-batches of 1 x 1 tokens: ref"},
		{"a batch beyond the device", tiny(), 1 << 14, 1 << 14, "ref"},
	} {
		m, err := New(be, try.config, try.batch, try.seqLen)
		if err == nil || !strings.Contains(err.Error(), try.want) {
			t.Errorf("%s: model %v, error %v, want one with %q", try.name, m != nil, err, try.want)
		}
	}
}

// TestPackedDocumentsAreApart: a document's losses do not depend on what it is
// packed with, nor, as positions count by difference, on where it begins.
func TestPackedDocumentsAreApart(t *testing.T) {
	const first, second = 3, 4
	c := tiny()
	be := oracle(t)
	packed, alone := newModel(t, be, c, 1, first+second), newModel(t, be, c, 1, second)
	b := randomTokens(c, 1, first+second, false)
	own := tokens{inputs: b.inputs[first:], targets: b.targets[first:]}
	b.docStart = []int32{0, 0, 0, first, first, first, first}

	packed.Evaluate(b.on(t, be))
	alone.Evaluate(own.on(t, be))
	if e := relativeError(read(t, be, packed.Losses())[first:], read(t, be, alone.Losses())); e > 1e-12 {
		t.Errorf("the second document's losses differ by %g", e)
	}
}

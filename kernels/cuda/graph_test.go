//go:build cuda

package cuda

import (
	"slices"
	"testing"

	"gorgonia.org/cu"
	"parallax/kernels"
)

// graphBooks reads the fake driver's: kernels started one by one, graphs launched,
// parameters changed in graphs, and graphs that exist.
func graphBooks(t *testing.T) (singles, launches, changes, alive int) {
	t.Helper()
	v, err := cu.Device(0).Attributes(cu.MaximumTexture1dWidth, cu.MaximumTexture2dWidth, cu.MaximumTexture2dHeight, cu.MaximumTexture3dWidth)
	if err != nil {
		t.Fatal(err)
	}
	return v[0], v[1], v[2], v[3]
}

// descent is a sequence that leaves p = (p - rate u) in p and a copy of it in q; the
// fake driver computes updates of float32.
type descent struct {
	b       *Backend
	p, q, u kernels.Buffer
}

func newDescent(t *testing.T, b *Backend) descent {
	t.Helper()
	d := descent{b: b}
	for _, to := range []*kernels.Buffer{&d.p, &d.q, &d.u} {
		buf, err := b.Alloc(kernels.F32, 4)
		if err != nil {
			t.Fatal(err)
		}
		*to = buf
	}
	if err := kernels.WriteFloats(b, d.u, []float64{1, 2, 3, 4}); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d descent) step(rate float64) {
	d.b.Repeat(d.b, 7, func() {
		d.b.Zero(d.q)
		d.b.Update(kernels.Update{P: d.p, U: d.u, Decay: 1, Rate: rate})
		d.b.Copy(d.q, d.p)
	})
}

func (d descent) result(t *testing.T) []float64 {
	t.Helper()
	got, err := kernels.ReadFloats(d.b, d.q)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestOnFakeGraph wants a sequence to be started piece by piece once, captured once,
// and to do with changing parameters what it does without graphs.
func TestOnFakeGraph(t *testing.T) {
	b := onFake(t)
	d := newDescent(t, b)
	singles, launches, changes, alive := graphBooks(t)
	for _, rate := range []float64{1, 1, 1, 2, 2, -8} {
		d.step(rate)
	}
	if got := d.result(t); !slices.Equal(got, []float64{1, 2, 3, 4}) { // -(1+1+1+2+2-8)
		t.Errorf("six steps come to %v", got)
	}
	s, l, c, a := graphBooks(t)
	if s -= singles; s != 1 {
		t.Errorf("%d kernels were started one by one, want the first", s)
	}
	if l, c, a = l-launches, c-changes, a-alive; l != 5 || c != 2 || a != 1 {
		t.Errorf("%d graphs launched, %d parameters changed, %d graphs made; want 5, 2, 1", l, c, a)
	}
	b.Forget(b)
	if err := b.Sync(); err != nil {
		t.Fatal(err)
	}
	if _, _, _, after := graphBooks(t); after != alive {
		t.Errorf("%d graphs left after Forget", after-alive)
	}
	d.step(1)
	if got := d.result(t); !slices.Equal(got, []float64{0, 0, 0, 0}) {
		t.Errorf("a step after Forget comes to %v", got)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// TestOnFakeGraphChanges captures again where another buffer is filled or copied, and
// no more than so often.
func TestOnFakeGraphChanges(t *testing.T) {
	b := onFake(t)
	defer b.Close()
	d := newDescent(t, b)
	_, launches, _, alive := graphBooks(t)
	for range capturesAtMost + 3 {
		d.step(1)
		d.p, d.q = d.q, d.p // other addresses for fill and copy, each time
	}
	if got := d.result(t); !slices.Equal(got, []float64{-11, -22, -33, -44}) {
		t.Errorf("steps that are never the same come to %v", got)
	}
	_, l, _, a := graphBooks(t)
	if l -= launches; l != capturesAtMost+1 || a != alive+1 { // the last step is again that of the last graph
		t.Errorf("%d graphs launched, %d left; want %d, and one", l, a-alive, capturesAtMost+1)
	}
}

// TestOnFakeGraphScratch has sequences take and return memory, also where the device
// is so full that blocks must be given back while a sequence is enqueued.
func TestOnFakeGraphScratch(t *testing.T) {
	b := onFake(t)
	d := newDescent(t, b)
	kept, err := b.Alloc(kernels.F32, 100<<18)
	if err != nil {
		t.Fatal(err)
	}
	kept.Free() // to the pool, from which the scratch below takes it away
	for range 4 {
		b.Repeat(b, 1, func() {
			d.step(1) // within a sequence it is part of it
			scratch, free, ok := b.scratch("test", kernels.F32, 980<<18)
			if !ok {
				return
			}
			b.Zero(scratch)
			free()
		})
	}
	if got := d.result(t); !slices.Equal(got, []float64{-4, -8, -12, -16}) {
		t.Errorf("four steps come to %v", got)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if _, _, _, alive := graphBooks(t); alive != 0 {
		t.Errorf("%d graphs left after Close", alive)
	}
}

// TestOnFakeGraphOff does without graphs where a person says so.
func TestOnFakeGraphOff(t *testing.T) {
	t.Setenv(graphsVariable, "off")
	b := onFake(t)
	defer b.Close()
	d := newDescent(t, b)
	_, launches, _, _ := graphBooks(t)
	for range 3 {
		d.step(1)
	}
	if got := d.result(t); !slices.Equal(got, []float64{-3, -6, -9, -12}) {
		t.Errorf("three steps without graphs come to %v", got)
	}
	if _, after, _, _ := graphBooks(t); after != launches {
		t.Errorf("%d graphs were launched though they are off", after-launches)
	}
}

// TestGraphsKeepBits wants the same bits with graphs and without, on a GPU: of
// products, scratch memory, attention, and an update whose parameters change.
func TestGraphsKeepBits(t *testing.T) {
	want, got := fiveRounds(t, false), fiveRounds(t, true)
	for i := range want {
		if want[i] != got[i] {
			t.Fatalf("element %d of %d is %g without graphs and %g with them", i, len(want), want[i], got[i])
		}
	}
}

func fiveRounds(t *testing.T, graphs bool) []float64 {
	const rows, cols, vocabulary = 512, 256, 1000
	d := newBench(t)
	d.graphs = graphs
	s := kernels.AttentionShape{Batch: 2, SeqLen: rows / 2, QHeads: 2, KVHeads: 1, HeadDim: 128, Scale: 0.088, Window: 100}
	f, b := d.attention(s, true)
	w, dw, dx := d.random(kernels.BF16, vocabulary, cols), d.random(kernels.F32, vocabulary, cols), d.random(kernels.BF16, rows, cols)
	square := d.random(kernels.BF16, cols, cols)
	tokens, loss := d.tokens(rows, vocabulary), d.zeros(kernels.F32, rows)
	p, m, v := d.random(kernels.F32, vocabulary, cols).Buf, d.zeros(kernels.F32, vocabulary*cols), d.zeros(kernels.F32, vocabulary*cols)
	for step := 1; step <= 5; step++ {
		d.Repeat(d, 0, func() {
			d.Zero(dw.Buf)
			d.Embedding(kernels.Embedding{Y: f.Q, W: w, Tokens: tokens})
			d.Attention(f)
			d.HeadLoss(kernels.HeadLoss{X: f.O, W: w, Targets: tokens, Loss: loss, Scale: 1, DX: b.DO, DW: dw})
			d.AttentionBackward(b)
			d.MatMul(kernels.MatMul{C: dx, A: b.DQ, B: square, Add: b.DR, Alpha: 1, Beta: 0.5})
			d.EmbeddingBackward(kernels.EmbeddingBackward{DW: dw, DY: dx, Tokens: tokens})
			d.AdamW(kernels.AdamW{P: p, G: dw.Buf, M: m, V: v, Work: w.Buf, LR: 1e-3 * float64(step), Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Step: step})
		})
	}
	out, err := kernels.ReadFloats(d, p)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

package model

import (
	"maps"
	"math"
	"slices"
	"testing"

	"parallax/kernels"
)

// plainAttention is one layer's attention as its formulas say it, weight by weight
// in float64.
type plainAttention struct {
	entropy, firstToken, moved, whole float64 // sums over positions and heads; of squares the last two
	heads                             int     // times positions
}

// plainMatrix is a matrix on the host, row by row.
type plainMatrix [][]float64

// readMatrix is nothing of a matrix that was left out.
func readMatrix(t *testing.T, be kernels.Backend, m kernels.Matrix) (w plainMatrix) {
	t.Helper()
	if m.Empty() {
		return nil
	}
	values, err := kernels.ReadFloats(be, m.Buf)
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.Rows {
		w = append(w, values[i*m.Stride:i*m.Stride+m.Cols])
	}
	return w
}

// read adds up the layer that the model has just run, from what attention read.
func (p *plainAttention) read(t *testing.T, m *Model, i int, docStart []int32) {
	t.Helper()
	host := func(x kernels.Matrix) plainMatrix { return readMatrix(t, m.be, x) }
	h := m.attended(i)
	q, r, k, v := host(h.q), host(h.r), host(h.k), host(h.v)
	c := m.cfg
	for at := range m.batch * m.seqLen {
		seq, pos := at/m.seqLen, at%m.seqLen
		document := 0
		if docStart != nil {
			document = int(docStart[at])
		}
		first := document
		if c.Window > 0 {
			first = max(first, pos-c.Window+1)
		}
		for head := range c.QHeads {
			group := head / (c.QHeads / c.KVHeads)
			var keys, values [][]float64
			for j := first; j <= pos; j++ {
				keys = append(keys, part(k[seq*m.seqLen+j], group, c.HeadDim))
				values = append(values, part(v[seq*m.seqLen+j], group, c.HeadDim))
			}
			var probe []float64
			if len(r) > 0 {
				probe = part(r[at], head, c.HeadDim)
			}
			p.add(part(q[at], head, c.HeadDim), probe, keys, values, first == document)
		}
	}
}

func (p *plainAttention) add(q, probe []float64, keys, values [][]float64, seesFirst bool) {
	weights := make([]float64, len(keys))
	for j, k := range keys {
		for d := range q {
			weights[j] += q[d] * k[d] / math.Sqrt(float64(len(q)))
		}
	}
	l := logSumExp(weights)
	for j := range weights {
		weights[j] = math.Exp(weights[j] - l)
		p.entropy -= weights[j] * math.Log(weights[j])
	}
	if seesFirst {
		p.firstToken += weights[0]
	}
	p.heads++
	if probe == nil {
		return
	}
	mean, vbar, moved := 0.0, make([]float64, len(q)), make([]float64, len(q))
	for j, k := range keys {
		mean += weights[j] * dot(probe, k)
		addScaled(vbar, weights[j], values[j])
	}
	for j, k := range keys { // Cov_p(v, k) r
		addScaled(moved, weights[j]*(dot(probe, k)-mean), values[j])
	}
	p.moved += dot(moved, moved)
	p.whole += dot(vbar, vbar)
}

func TestDiagnoseIsWhatTheFormulasSay(t *testing.T) {
	softmax, windowed, plain := tiny(), tiny(), tiny()
	softmax.Mixer, windowed.Window, plain.QKNorm = SoftmaxAttention, 3, false
	for name, c := range map[string]struct {
		config Config
		packed bool
	}{"all": {tiny(), false}, "packed": {tiny(), true}, "window": {windowed, true}, "softmax": {softmax, false}, "plain": {plain, false}} {
		for _, device := range append(slices.Collect(maps.Keys(devices)), "ref") {
			t.Run(name+"/"+device, func(t *testing.T) {
				be, tolerance := open(t, device), devices[device]
				if device == "ref" {
					tolerance = 1e-11
				}
				const batch, seqLen = 3, 7
				m := newModel(t, be, c.config, batch, seqLen)
				tokens := randomTokens(c.config, batch, seqLen, c.packed)
				got, err := m.Diagnose(tokens.on(t, be))
				if err != nil {
					t.Fatal(err)
				}
				checkDiagnoses(t, m, tokens, got, tolerance)
			})
		}
	}
}

func checkDiagnoses(t *testing.T, m *Model, tokens tokens, got []Diagnosis, tolerance float64) {
	t.Helper()
	b := tokens.on(t, m.be)
	m.embed(b)
	for i, d := range got {
		m.attentionBlock(i, b)
		var want plainAttention
		want.read(t, m, i, tokens.docStart)
		m.ffnBlock(i)
		near(t, "entropy", d.Entropy, want.entropy/float64(want.heads), tolerance)
		near(t, "first token", d.FirstToken, want.firstToken/float64(want.heads), tolerance)
		near(t, "correction", d.Correction, math.Sqrt(want.moved/want.whole), tolerance) // NaN of 0/0 without a probe
		for name, rank := range map[string]float64{"q": d.RankQ, "r": d.RankR, "k": d.RankK} {
			near(t, "rank of "+name, rank, rankBySweeps(t, m, i, name), 1e-9)
		}
	}
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.IsNaN(got) != math.IsNaN(want) || math.Abs(got-want) > tolerance*math.Max(1, math.Abs(want)) {
		t.Errorf("%s is %.15g, want %.15g", what, got, want)
	}
}

// TestDiagnoseLeavesTrainingAlone holds the gradient after a look into the layers
// against the one without it, to the bit.
func TestDiagnoseLeavesTrainingAlone(t *testing.T) {
	be := open(t, "cpu")
	m := newModel(t, be, tiny(), 2, 8)
	b := randomTokens(tiny(), 2, 8, true).on(t, be)
	before := gradients(t, m, b, 0.5)
	params := read(t, be, m.Params())
	if _, err := m.Diagnose(b); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(read(t, be, m.Params()), params) || !slices.Equal(read(t, be, m.Grads()), before) {
		t.Error("parameters or gradients have changed")
	}
	if !slices.Equal(gradients(t, m, b, 0.5), before) {
		t.Error("the next gradient has changed")
	}
}

// TestDiagnoseLooksAtFirstSequences has more tokens than are looked at.
func TestDiagnoseLooksAtFirstSequences(t *testing.T) {
	be := open(t, "cpu")
	const seqLen = diagnosedTokens/2 + 1
	c := tiny()
	c.Layers = 1
	tokens := randomTokens(c, 2, seqLen, false)
	two, one := newModel(t, be, c, 2, seqLen), newModel(t, be, c, 1, seqLen)
	got, err := two.Diagnose(tokens.on(t, be))
	if err != nil {
		t.Fatal(err)
	}
	want, err := one.Diagnose(tokens.slice(0, 1, seqLen).on(t, be))
	if err != nil {
		t.Fatal(err)
	}
	if got[0] != want[0] {
		t.Errorf("of the first sequence: %+v\nof two: %+v", want[0], got[0])
	}
}

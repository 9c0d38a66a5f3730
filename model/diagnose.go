package model

import (
	"errors"
	"math"

	"parallax/kernels"
)

// Diagnosis is what one layer does with a micro-batch. What the mixer does not
// have is NaN: Correction and RankR without a probe.
type Diagnosis struct {
	// Correction is the size of what the probe adds, |o - vbar| / |vbar|
	// (Frobenius norms): Cov(v, k) r beside the output of softmax attention.
	// With activations in bfloat16 less than 2^-9 is rounding.
	Correction float64
	// RankQ, RankR and RankK are the stable ranks |W|_F^2 / |W|_2^2 of the
	// projections: from 1 to the smaller side.
	RankQ, RankR, RankK float64
	// Entropy of attention's softmax p, in nats, and FirstToken, the weight that
	// it has on the first token of the document (0 where a window hides that),
	// are means over positions and heads.
	Entropy, FirstToken float64
}

// diagnosedTokens is how many positions of a micro-batch are looked at, in whole
// sequences and at least one: the numbers leave the device, and must not cost a
// large model more than a few steps' arithmetic.
const diagnosedTokens = 4096

// lookRows is how many rows of an activation are on the host at a time.
const lookRows = 64

// look is what a look into the layers needs beside the model: one number a position
// and head on the device, and memory of the host that all layers use in turn.
type look struct {
	*Model
	batch    Batch
	mean     kernels.Buffer // [sequences * QHeads * seqLen] Master: sum_j p_ij q_i.k_j
	docStart []int32        // by position; nil: one document per sequence
	x, y     hostMatrix
	lse, avg hostVector
}

// Diagnose runs a micro-batch forward and looks into every layer, first to last.
// Parameters and gradients stay as they are; activations and losses do not.
//
// The norms, logits and weights are of the first sequences of the micro-batch, all
// positions and heads of them; what the device has computed in its own types is
// summed in float64. The stable ranks are of whole matrices, in float64.
// [Config.DiagnoseBytes] is the memory that it takes.
func (m *Model) Diagnose(b Batch) ([]Diagnosis, error) {
	all := make([]Diagnosis, m.cfg.Layers)
	l := look{Model: m, batch: b}
	var err error
	if l.mean, err = m.be.Alloc(m.be.Info().Precision.Master, m.cfg.diagnosedHeads(m.batch, m.seqLen)); err != nil {
		return nil, err
	}
	defer l.mean.Free()
	if b.DocStart != nil {
		if l.docStart, err = readPositions(m.be, b.DocStart.Slice(0, l.positions())); err != nil {
			return nil, err
		}
	}
	m.embed(b)
	for i := range all {
		m.attentionBlock(i, b)
		if err := l.attention(&all[i], i); err != nil {
			return nil, err
		}
		m.ffnBlock(i)
	}
	return all, m.measureRanks(all)
}

// diagnosedSequences is how many sequences of a micro-batch are looked at.
func diagnosedSequences(batch, seqLen int) int { return min(batch, max(1, diagnosedTokens/seqLen)) }

// diagnosedHeads is how many positions of how many heads they have.
func (c Config) diagnosedHeads(batch, seqLen int) int {
	return diagnosedSequences(batch, seqLen) * seqLen * c.QHeads
}

// DiagnoseBytes is the memory that [Model.Diagnose] takes for a while beside the
// model's: on the device, and at most on the host.
func (c Config) DiagnoseBytes(p kernels.Precision, batch, seqLen int) (device, host int64) {
	heads := int64(c.diagnosedHeads(batch, seqLen))
	master := int64(p.Master.Size())
	window := int64(min(lookRows, diagnosedSequences(batch, seqLen)*seqLen))
	row := int64(max(c.projected(), c.qCols()))
	host = 2*(window*row*int64(p.Compute.Size())+8*row) + 2*heads*(master+8) +
		4*int64(diagnosedSequences(batch, seqLen)*seqLen)
	return heads * master, host + int64(c.ranksAtOnce(p.Master))*c.rankBytes(p.Master)
}

func (l *look) sequences() int { return diagnosedSequences(l.Model.batch, l.seqLen) }
func (l *look) positions() int { return l.sequences() * l.seqLen }

// attention looks at layer i, whose attention block has just been run.
func (l *look) attention(d *Diagnosis, i int) (err error) {
	shape, vbar, err := l.logits(i)
	if err != nil {
		return err
	}
	if d.Correction, err = l.correction(rows(l.act.layers[i].o, l.positions()), vbar); err != nil {
		return err
	}
	d.Entropy = l.entropy(shape)
	d.FirstToken, err = l.firstToken(shape, l.attended(i))
	return err
}

// correction is |o - vbar| / |vbar|; NaN without a probe, where o is vbar.
func (l *look) correction(o, vbar kernels.Matrix) (float64, error) {
	if !l.cfg.Mixer.learned() {
		return math.NaN(), nil
	}
	l.x.see(l.be, o, lookRows)
	l.y.see(l.be, vbar, lookRows)
	moved, whole := 0.0, 0.0
	for r := range o.Rows {
		y := l.y.row(r)
		for c, v := range l.x.row(r) {
			moved += (v - y[c]) * (v - y[c])
			whole += y[c] * y[c]
		}
	}
	return math.Sqrt(moved / whole), errors.Join(l.x.err, l.y.err)
}

// logits has the device compute what a mean over all keys needs, by one attention
// of its own with q in the probe's place: its tbar is sum_j p_ij q_i.k_j. Its vbar is
// that of the layer's, on which probes have no say.
func (l *look) logits(i int) (s kernels.AttentionShape, vbar kernels.Matrix, err error) {
	s = l.attentionShape(l.batch)
	s.Batch = l.sequences()
	n := l.positions()
	if s.DocStart != nil {
		s.DocStart = s.DocStart.Slice(0, n)
	}
	h := l.attended(i)
	lse := l.act.layers[i].lse.Slice(0, l.mean.Len())
	vbar = kernels.Mat(l.act.dqrkv.Buf, n, l.cfg.qCols()) // scratch of the backward pass
	l.be.Attention(kernels.Attention{
		AttentionShape: s, Q: rows(h.q, n), R: rows(h.q, n), K: rows(h.k, n), V: rows(h.v, n), LSE: lse, TBar: l.mean,
		O: rows(l.act.do, n), VBar: vbar,
	})
	return s, vbar, errors.Join(l.lse.read(l.be, lse), l.avg.read(l.be, l.mean))
}

// entropy is the mean of -sum_j p_ij ln p_ij = L_i - sum_j p_ij s_ij.
func (l *look) entropy(s kernels.AttentionShape) float64 {
	sum := 0.0
	for i, lse := range l.lse.values {
		sum += lse - s.Scale*l.avg.values[i]
	}
	return sum / float64(len(l.lse.values))
}

// firstToken is the mean of exp(s_i0 - L_i), where 0 is the first key of i's
// document.
func (l *look) firstToken(s kernels.AttentionShape, h heads[kernels.Matrix]) (float64, error) {
	l.x.see(l.be, rows(h.q, l.positions()), lookRows)
	l.y.see(l.be, rows(h.k, l.positions()), 1)
	sum := 0.0
	for position := range l.positions() {
		seq, i := position/s.SeqLen, position%s.SeqLen
		first := 0
		if l.docStart != nil {
			first = int(l.docStart[position])
		}
		if s.Window > 0 && i-first >= s.Window {
			continue
		}
		q, k := l.x.row(position), l.y.row(seq*s.SeqLen+first)
		for head := range s.QHeads {
			logit := s.Scale * dot(part(q, head, s.HeadDim), part(k, head/(s.QHeads/s.KVHeads), s.HeadDim))
			sum += math.Exp(logit - l.lse.values[(seq*s.QHeads+head)*s.SeqLen+i])
		}
	}
	return sum / float64(len(l.lse.values)), errors.Join(l.x.err, l.y.err)
}

// part is the piece of a row that belongs to a head.
func part(row []float64, head, size int) []float64 { return row[head*size : (head+1)*size] }

// rows is the first n rows of a matrix; nothing of one that was left out.
func rows(m kernels.Matrix, n int) kernels.Matrix {
	if !m.Empty() {
		m.Rows = n
	}
	return m
}

func readPositions(be kernels.Backend, b kernels.Buffer) ([]int32, error) {
	host := be.HostAlloc(b.Len() * b.DType().Size())
	return kernels.Cast[int32](host), be.CopyOut(host, b).Wait()
}

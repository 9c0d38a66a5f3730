package model

import (
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

// Diagnose runs a micro-batch forward and looks into every layer, first to last.
// Parameters and gradients stay as they are; activations and losses do not.
//
// The norms, logits and weights are of the first sequences of the micro-batch, all
// positions and heads of them; what the device has computed in its own types is
// summed in float64. The stable ranks are of whole matrices, in float64.
func (m *Model) Diagnose(b Batch) ([]Diagnosis, error) {
	all := make([]Diagnosis, m.cfg.Layers)
	logits, err := m.be.Alloc(m.be.Info().Precision.Master, m.probedSequences()*m.seqLen*m.cfg.QHeads)
	if err != nil {
		return nil, err
	}
	defer logits.Free()
	m.embed(b)
	for i := range all {
		m.attentionBlock(i, b)
		if err := m.diagnoseAttention(&all[i], i, b, logits); err != nil {
			return nil, err
		}
		m.ffnBlock(i)
	}
	return all, m.measureRanks(all)
}

func (m *Model) probedSequences() int {
	return min(m.batch, max(1, diagnosedTokens/m.seqLen))
}

// diagnoseAttention looks at layer i, whose attention block has just been run.
func (m *Model) diagnoseAttention(d *Diagnosis, i int, b Batch, logits kernels.Buffer) error {
	n := m.probedSequences() * m.seqLen
	a := m.act.layers[i]
	var err error
	if d.Correction, err = m.correction(rows(a.o, n), rows(a.vbar, n)); err != nil {
		return err
	}
	p, err := m.readLogits(i, b, logits)
	if err != nil {
		return err
	}
	d.Entropy, d.FirstToken = p.entropy(), p.firstToken()
	return nil
}

// correction is |o - vbar| / |vbar|; NaN without a probe, where there is no vbar.
func (m *Model) correction(o, vbar kernels.Matrix) (float64, error) {
	if vbar.Empty() {
		return math.NaN(), nil
	}
	x, err := readHost(m.be, o)
	if err != nil {
		return 0, err
	}
	y, err := readHost(m.be, vbar)
	if err != nil {
		return 0, err
	}
	moved, whole := 0.0, 0.0
	for r := range x.rows {
		yr := y.row(r)
		for c, v := range x.row(r) {
			moved += (v - yr[c]) * (v - yr[c])
			whole += yr[c] * yr[c]
		}
	}
	return math.Sqrt(moved / whole), nil
}

// attentionLogits are the logits of some sequences' attention, as far as their
// entropy and the weight on the first token need them.
type attentionLogits struct {
	kernels.AttentionShape
	docStart  []int32   // by position; nil: one document per sequence
	lse, mean []float64 // as kernels.Attention.LSE: L, and the mean of q.k under p
	q, k      hostMatrix
}

// readLogits has the device compute what a mean over all keys needs, by one
// attention of its own with q in the probe's place: its tbar is sum_j p_ij q_i.k_j.
func (m *Model) readLogits(i int, b Batch, tbar kernels.Buffer) (p attentionLogits, err error) {
	s := m.attentionShape(b)
	s.Batch = m.probedSequences()
	n := s.Batch * s.SeqLen
	if s.DocStart != nil {
		s.DocStart = s.DocStart.Slice(0, n)
		if p.docStart, err = readPositions(m.be, s.DocStart); err != nil {
			return p, err
		}
	}
	h := m.attended(i)
	q, k := rows(h.q, n), rows(h.k, n)
	lse := m.act.layers[i].lse.Slice(0, tbar.Len())
	m.be.Attention(kernels.Attention{
		AttentionShape: s, Q: q, R: q, K: k, V: rows(h.v, n), LSE: lse, TBar: tbar,
		O:    rows(m.act.do, n),
		VBar: kernels.Mat(m.act.dqrkv.Buf, n, m.cfg.qCols()), // scratch of the backward pass
	})
	p.AttentionShape = s
	if p.lse, err = kernels.ReadFloats(m.be, lse); err != nil {
		return p, err
	}
	if p.mean, err = kernels.ReadFloats(m.be, tbar); err != nil {
		return p, err
	}
	if p.q, err = readHost(m.be, q); err != nil {
		return p, err
	}
	p.k, err = readHost(m.be, k)
	return p, err
}

// entropy is the mean of -sum_j p_ij ln p_ij = L_i - sum_j p_ij s_ij.
func (p *attentionLogits) entropy() float64 {
	sum := 0.0
	for i, l := range p.lse {
		sum += l - p.Scale*p.mean[i]
	}
	return sum / float64(len(p.lse))
}

// firstToken is the mean of exp(s_i0 - L_i), where 0 is the first key of i's
// document.
func (p *attentionLogits) firstToken() float64 {
	sum := 0.0
	for position := range p.Batch * p.SeqLen {
		seq, i := position/p.SeqLen, position%p.SeqLen
		first := 0
		if p.docStart != nil {
			first = int(p.docStart[position])
		}
		if p.Window > 0 && i-first >= p.Window {
			continue
		}
		q, k := p.q.row(position), p.k.row(seq*p.SeqLen+first)
		for head := range p.QHeads {
			s := p.Scale * dot(part(q, head, p.HeadDim), part(k, head/(p.QHeads/p.KVHeads), p.HeadDim))
			sum += math.Exp(s - p.lse[(seq*p.QHeads+head)*p.SeqLen+i])
		}
	}
	return sum / float64(len(p.lse))
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

// hostMatrix is a matrix on the host.
type hostMatrix struct {
	values             []float64
	rows, cols, stride int
}

func (h hostMatrix) row(i int) []float64 { return h.values[i*h.stride : i*h.stride+h.cols] }

func readHost(be kernels.Backend, m kernels.Matrix) (hostMatrix, error) {
	values, err := kernels.ReadFloats(be, m.Buf.Slice(0, (m.Rows-1)*m.Stride+m.Cols))
	return hostMatrix{values, m.Rows, m.Cols, m.Stride}, err
}

func readPositions(be kernels.Backend, b kernels.Buffer) ([]int32, error) {
	host := be.HostAlloc(b.Len() * b.DType().Size())
	return kernels.Cast[int32](host), be.CopyOut(host, b).Wait()
}

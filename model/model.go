package model

import (
	"fmt"
	"math"

	"parallax/kernels"
)

// Model is a decoder on one device, for micro-batches of one size. Its methods
// enqueue work and return; they are called from one goroutine at a time.
type Model struct {
	be             kernels.Backend
	cfg            Config
	layout         Layout
	batch, seqLen  int
	params, grads  kernels.Buffer // Master type
	copy           kernels.Buffer // Compute type; params itself where the types are equal
	work, gradient weights
	act            activations
	owned          []kernels.Buffer
	pass           pass
}

// Batch is one micro-batch on the device, row by row.
type Batch struct {
	Tokens  kernels.Buffer // [batch*seqLen] I32, in [0, vocabulary)
	Targets kernels.Buffer // [batch*seqLen] I32; a target below 0 is ignored
	// DocStart, [batch*seqLen] I32: where each position's document begins within
	// its sequence; nil for one document per sequence. See kernels.AttentionShape.
	DocStart kernels.Buffer
}

// New allocates a model for micro-batches of batch sequences of seqLen tokens.
// Its parameters are zero: call [Model.Init], or load them into [Model.Params] and
// call [Model.SyncWork].
func New(be kernels.Backend, cfg Config, batch, seqLen int) (*Model, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if err := cfg.checkBatch(batch, seqLen); err != nil {
		return nil, err
	}
	m := &Model{be: be, cfg: cfg, layout: NewLayout(cfg), batch: batch, seqLen: seqLen}
	if err := m.allocate(); err != nil {
		m.Close()
		return nil, err
	}
	m.preparePass()
	return m, nil
}

// Config is what the model was made from.
func (m *Model) Config() Config { return m.cfg }

// Layout is where each parameter lies in Params, Work and Grads.
func (m *Model) Layout() Layout { return m.layout }

// BatchSize is the number of sequences in a micro-batch.
func (m *Model) BatchSize() int { return m.batch }

// SeqLen is the number of tokens in a sequence.
func (m *Model) SeqLen() int { return m.seqLen }

// Params holds the parameters, [Layout.Size] of the Master type.
func (m *Model) Params() kernels.Buffer { return m.params }

// Work holds the copy of the parameters that the passes read, of the Compute
// type. It is Params itself where the types are equal.
func (m *Model) Work() kernels.Buffer { return m.copy }

// Grads holds the gradients, [Layout.Size] of the Master type.
func (m *Model) Grads() kernels.Buffer { return m.grads }

// Losses holds, after a pass, the loss of every token in nats, of the Master
// type; 0 where the target is ignored.
func (m *Model) Losses() kernels.Buffer { return m.act.losses }

// SyncWork brings Work up to date after Params were replaced.
func (m *Model) SyncWork() {
	if m.separateWork() {
		m.be.Copy(m.copy, m.params)
	}
}

// ZeroGrads clears the gradients, before the first micro-batch of a step.
func (m *Model) ZeroGrads() { m.be.Zero(m.grads) }

// Close returns the model's memory to the device. It may be called twice.
func (m *Model) Close() {
	kernels.Forget(m.be, m)
	for _, b := range m.owned {
		b.Free()
	}
	m.owned = nil
}

func (m *Model) separateWork() bool {
	p := m.be.Info().Precision
	return p.Compute != p.Master
}

func (m *Model) allocate() error {
	precision := m.be.Info().Precision
	compute, master := m.cfg.activationElements(m.batch, m.seqLen)
	ct, mt := tape{}, tape{}
	wanted := []allocation{
		{&m.params, precision.Master, m.layout.Size},
		{&m.grads, precision.Master, m.layout.Size},
		{&ct.buf, precision.Compute, compute},
		{&mt.buf, precision.Master, master},
	}
	if m.separateWork() {
		wanted = append(wanted, allocation{&m.copy, precision.Compute, m.layout.Size})
	}
	if err := m.allocateAll(wanted); err != nil {
		return err
	}
	if !m.separateWork() {
		m.copy = m.params
	}
	m.act = layActivations(m.cfg, m.batch, m.seqLen, &ct, &mt)
	m.work, m.gradient = newWeights(m.layout, m.copy), newWeights(m.layout, m.grads)
	return kernels.WriteFloats(m.be, m.act.rope, ropeTable(m.cfg, m.seqLen))
}

// allocation is a buffer to be had.
type allocation struct {
	to *kernels.Buffer
	dt kernels.DType
	n  int
}

func (m *Model) allocateAll(wanted []allocation) error {
	for _, w := range wanted {
		b, err := m.be.Alloc(w.dt, w.n)
		if err != nil {
			return fmt.Errorf("model of %d parameters with micro-batches of %d x %d tokens: %w; smaller micro-batches, or recomputation, take less",
				m.cfg.Parameters(), m.batch, m.seqLen, err)
		}
		*w.to = b
		m.owned = append(m.owned, b)
	}
	return nil
}

// ropeTable holds, per position, the cosines and then the sines of its angles
// t * theta^(-i/h), i < h = HeadDim/2.
func ropeTable(c Config, seqLen int) []float64 {
	h := c.HeadDim / 2
	table := make([]float64, 0, seqLen*c.HeadDim)
	for t := range seqLen {
		row := make([]float64, c.HeadDim)
		for i := range h {
			angle := float64(t) * math.Pow(c.RoPETheta, -float64(i)/float64(h))
			row[i], row[h+i] = math.Cos(angle), math.Sin(angle)
		}
		table = append(table, row...)
	}
	return table
}

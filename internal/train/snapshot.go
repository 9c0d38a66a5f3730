package train

import (
	"fmt"

	"parallax/internal/checkpoint"
	"parallax/kernels"
	"parallax/model"
)

// HostState is host memory for copies of a state, one at a time.
type HostState struct{ parts [][]byte }

// copyOut copies buffer number i to memory that the next copy of it overwrites.
func (h *HostState) copyOut(be kernels.Backend, i int, b kernels.Buffer) ([]byte, error) {
	for len(h.parts) <= i {
		h.parts = append(h.parts, nil)
	}
	if n := b.Len() * b.DType().Size(); len(h.parts[i]) != n {
		h.parts[i] = be.HostAlloc(n)
	}
	return h.parts[i], be.CopyOut(h.parts[i], b).Wait()
}

// Snapshot copies the state to the memory of into, where it stays as it is, while
// training goes on, until that is used again. The caller adds what names the run:
// RunID, Spec, SpecHash and the data's digest.
func (t *Trainer) Snapshot(into *HostState) (checkpoint.Snapshot, error) {
	if t.broken != nil {
		return checkpoint.Snapshot{}, t.broken
	}
	config, err := model.HFConfigJSON(t.model.Config(), t.spec.Train.SeqLen)
	if err != nil {
		return checkpoint.Snapshot{}, err
	}
	params, err := into.copyOut(t.be, 0, t.model.Params())
	if err != nil {
		return checkpoint.Snapshot{}, err
	}
	s := checkpoint.Snapshot{Step: t.applied, Config: config, Model: t.modelTensors(), Optimizer: t.optimizerTensors()}
	samples := t.applied * int64(t.spec.Train.Slots*t.spec.Train.MicroBatch)
	sequences := int64(t.source.Sequences(0))
	s.Data = checkpoint.Position{Epoch: samples / sequences, Sample: samples % sequences}
	if t.exact != nil {
		s.Optimizer[len(s.Optimizer)-1] = t.exact.tensor()
	}
	for i, p := range t.model.Layout().Params {
		s.Model[i].Data = kernels.Cast[float32](params)[p.Offset : p.Offset+p.Len()]
	}
	for i, b := range t.opt.State() {
		data, err := into.copyOut(t.be, 1+i, b.Buffer)
		if err != nil {
			return checkpoint.Snapshot{}, err
		}
		s.Optimizer[i].Data = kernels.Cast[float32](data)
	}
	return s, nil
}

// Layout names the tensors of a checkpoint that can be restored.
func (t *Trainer) Layout() string {
	return checkpoint.LayoutDigest(t.modelTensors(), t.optimizerTensors())
}

// modelTensors and optimizerTensors list a checkpoint's tensors without data.
func (t *Trainer) modelTensors() []checkpoint.Tensor {
	var tensors []checkpoint.Tensor
	for _, p := range t.model.Layout().Params {
		tensors = append(tensors, checkpoint.Tensor{Name: p.Name, Shape: p.Shape()})
	}
	return tensors
}

func (t *Trainer) optimizerTensors() []checkpoint.Tensor {
	var tensors []checkpoint.Tensor
	for _, b := range t.opt.State() {
		tensors = append(tensors, checkpoint.Tensor{Name: b.Name, Shape: []int{b.Rows, b.Cols}})
	}
	if t.exact != nil {
		tensors = append(tensors, t.exact.tensor())
	}
	return tensors
}

// Restore replaces the state by a checkpoint's, which has this trainer's Layout.
func (t *Trainer) Restore(c *checkpoint.Checkpoint) error {
	err := t.restore(c)
	if err != nil {
		t.broken = fmt.Errorf("the state is half restored from %s: %w", c.Path, err)
		return t.broken
	}
	t.broken = nil
	t.applied = c.Step
	return nil
}

func (t *Trainer) restore(c *checkpoint.Checkpoint) error {
	if err := RestoreModel(t.be, t.model, c); err != nil {
		return err
	}
	r := restorer{be: t.be}
	for _, b := range t.opt.State() {
		if err := r.restore(b.Buffer, b.Name, c.ReadOptimizer); err != nil {
			return err
		}
	}
	if t.exact != nil {
		return t.exact.load(c)
	}
	return nil
}

// RestoreModel replaces a model's parameters by a checkpoint's.
func RestoreModel(be kernels.Backend, m *model.Model, c *checkpoint.Checkpoint) error {
	r := restorer{be: be}
	for _, p := range m.Layout().Params {
		if err := r.restore(m.Params().Slice(p.Offset, p.Offset+p.Len()), p.Name, c.ReadModel); err != nil {
			return err
		}
	}
	m.SyncWork()
	return be.Sync()
}

// restorer brings tensors to a device through host memory as large as the largest.
type restorer struct {
	be   kernels.Backend
	host []byte
}

func (r *restorer) restore(dst kernels.Buffer, name string, read func(name string, dst []float32) error) error {
	n := 4 * dst.Len()
	if n > len(r.host) {
		r.host = r.be.HostAlloc(n)
	}
	if err := read(name, kernels.Cast[float32](r.host[:n])); err != nil {
		return err
	}
	return r.be.CopyIn(dst, r.host[:n]).Wait()
}

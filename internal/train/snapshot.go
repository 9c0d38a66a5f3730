package train

import (
	"fmt"

	"parallax/internal/checkpoint"
	"parallax/kernels"
	"parallax/model"
)

// Snapshot copies the state to host memory that stays as it is while training
// goes on. The caller adds what names the run: RunID, Spec, SpecHash and the
// data's digest.
func (t *Trainer) Snapshot() (checkpoint.Snapshot, error) {
	if t.broken != nil {
		return checkpoint.Snapshot{}, t.broken
	}
	config, err := model.HFConfigJSON(t.model.Config(), t.spec.Train.SeqLen)
	if err != nil {
		return checkpoint.Snapshot{}, err
	}
	params, err := t.copyOut(t.model.Params())
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
		data, err := t.copyOut(b.Buffer)
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
	for _, b := range t.opt.State() {
		host := t.be.HostAlloc(4 * b.Buffer.Len())
		if err := c.ReadOptimizer(b.Name, kernels.Cast[float32](host)); err != nil {
			return err
		}
		if err := t.be.CopyIn(b.Buffer, host).Wait(); err != nil {
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
	layout := m.Layout()
	host := be.HostAlloc(4 * layout.Size)
	flat := kernels.Cast[float32](host)
	for _, p := range layout.Params {
		if err := c.ReadModel(p.Name, flat[p.Offset:p.Offset+p.Len()]); err != nil {
			return err
		}
	}
	if err := be.CopyIn(m.Params(), host).Wait(); err != nil {
		return err
	}
	m.SyncWork()
	return be.Sync()
}

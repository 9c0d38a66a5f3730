package train

import (
	"fmt"

	"parallax/kernels"
)

// Recorder is told what each step's update depends on beside the state before it: the
// change. With both, [Trainer.Replay] makes the step once more, to the bit.
type Recorder interface {
	// Recording reports whether Record is to be called for the step under way.
	Recording() bool
	// Record takes over the change of a step that has been applied, in parts.
	Record(step int64, change [][]byte)
}

// RecordTo has the changes of all further steps told to r.
func (t *Trainer) RecordTo(r Recorder) { t.recorder = r }

// A change is the reduced gradient as it lies on the device, in float32 or, with
// sum-exact, its integers; before them, with sum-exact, come the exponents of the pass
// that they count with, and those that follow from its magnitudes.

// ChangeBytes is how long a change is.
func (t *Trainer) ChangeBytes() int64 {
	return int64(2*len(t.exponents()) + t.reduced().Len()*t.reduced().DType().Size())
}

// reduced is where a step's gradient is whole.
func (t *Trainer) reduced() kernels.Buffer {
	if t.exact != nil {
		return t.exact.sum
	}
	return t.model.Grads()
}

// change copies what the update is about to be made from, if somebody records it.
func (t *Trainer) change() ([][]byte, error) {
	if t.recorder == nil || !t.recorder.Recording() {
		return nil, nil
	}
	var head []byte
	if t.exact != nil {
		head = append(append(head, kernels.Bytes(t.exact.pass)...), kernels.Bytes(t.exact.next)...)
	}
	gradient, err := t.copyOut(t.reduced())
	return [][]byte{head, gradient}, err
}

func (t *Trainer) record(step int64, change [][]byte) {
	if change != nil {
		t.recorder.Record(step, change)
	}
}

// Replay makes the step after the state's from another rank's change, after Filled and
// before Enter.
func (t *Trainer) Replay(step int64, change []byte) error {
	switch {
	case t.broken != nil:
		return t.broken
	case step != t.applied+1:
		return fmt.Errorf("step %d cannot be replayed on the state after step %d", step, t.applied)
	case int64(len(change)) != t.ChangeBytes():
		return fmt.Errorf("the change of step %d has %d bytes, want %d", step, len(change), t.ChangeBytes())
	}
	if err := t.takeChange(change); err != nil {
		return err
	}
	t.opt.Begin()
	_, err := t.finish(step)
	return err
}

// takeChange puts the gradient where the optimizer looks for it.
func (t *Trainer) takeChange(change []byte) error {
	n := len(t.exponents())
	if err := t.be.CopyIn(t.reduced(), change[2*n:]).Wait(); err != nil {
		return err
	}
	if t.exact == nil {
		return nil
	}
	copy(kernels.Bytes(t.exact.pass), change[:n])
	copy(kernels.Bytes(t.exact.next), change[n:2*n])
	for _, exponents := range [][]int32{t.exact.pass, t.exact.next} {
		if err := t.exact.check(exponents); err != nil {
			return err
		}
	}
	t.exact.restore()
	return nil
}

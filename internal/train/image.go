package train

import (
	"encoding/binary"
	"errors"
	"fmt"

	"parallax/kernels"
	"parallax/optimizer"
)

// The image of a state is its bytes in one row: the number of steps applied, in 8
// bytes, the exponents of sum-exact, and the buffers, as Digest reads them.

// Image copies the state to host memory that stays as it is while training goes on,
// in parts.
func (t *Trainer) Image() ([][]byte, error) {
	if t.broken != nil {
		return nil, t.broken
	}
	parts := [][]byte{t.head()}
	for _, b := range t.buffers() {
		host, err := t.copyOut(b)
		if err != nil {
			return nil, err
		}
		parts = append(parts, host)
	}
	return parts, nil
}

// head is what comes before the buffers in an image, and in a digest.
func (t *Trainer) head() []byte {
	return append(binary.LittleEndian.AppendUint64(nil, uint64(t.applied)), t.exponents()...)
}

// StateBytes is how long an image is.
func (t *Trainer) StateBytes() int64 {
	n := int64(8 + len(t.exponents()))
	for _, b := range t.buffers() {
		n += int64(b.Len() * b.DType().Size())
	}
	return n
}

var errHalfFetched = errors.New("the state is half fetched")

// Fill writes bytes of another rank's image, from an offset on, which come in whole
// elements. Until Filled this rank has no state.
func (t *Trainer) Fill(offset int64, data []byte) error {
	t.broken = errHalfFetched
	if t.filled == nil {
		t.filled = make([]byte, 8+len(t.exponents()))
	}
	if size := int64(len(t.filled)); offset < size {
		n := copy(t.filled[offset:], data)
		offset, data = offset+int64(n), data[n:]
	}
	offset -= int64(len(t.filled))
	for _, b := range t.buffers() {
		width := b.DType().Size()
		size := int64(b.Len() * width)
		if offset < size && len(data) > 0 {
			n := min(int64(len(data)), size-offset)
			lo := int(offset) / width
			if err := t.be.CopyIn(b.Slice(lo, lo+int(n)/width), data[:n]).Wait(); err != nil {
				return err
			}
			offset, data = offset+n, data[n:]
		}
		offset -= size
	}
	if len(data) > 0 {
		return fmt.Errorf("%d bytes are left over behind the end of the state", len(data))
	}
	return nil
}

// Filled makes what was filled in this rank's state, which is that after a step. The
// rank leaves its view.
func (t *Trainer) Filled(step int64) error {
	if t.filled == nil || binary.LittleEndian.Uint64(t.filled) != uint64(step) {
		return fmt.Errorf("the state that was fetched is not the one after step %d", step)
	}
	alone, err := optimizer.NewPlan(t.optConfig, t.optParams, 1)
	if err != nil {
		return err
	}
	t.leave()
	t.opt.SetPlan(alone, 0)
	return t.settle(t.filled)
}

// settle makes what the buffers have been filled with, and an image's head, this rank's
// state.
func (t *Trainer) settle(head []byte) error {
	if err := t.takeExponents(head[8:]); err != nil {
		return err
	}
	t.model.SyncWork()
	if err := t.be.Sync(); err != nil {
		return err
	}
	t.applied, t.filled, t.broken = int64(binary.LittleEndian.Uint64(head)), nil, nil
	return nil
}

// takeExponents makes the exponents of another rank ours.
func (t *Trainer) takeExponents(raw []byte) error {
	if t.exact == nil {
		return nil
	}
	exponents := make([]int32, len(t.exact.exponents))
	copy(kernels.Bytes(exponents), raw)
	if err := t.exact.check(exponents); err != nil {
		return err
	}
	copy(t.exact.exponents, exponents)
	return nil
}

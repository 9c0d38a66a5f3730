//go:build cuda

package cuda

// #include "shim.h"
import "C"

import (
	"fmt"
	"unsafe"

	"parallax/kernels"
)

// tensorMap tells the copy engine of a Hopper GPU where a matrix lies.
type tensorMap [128]byte

// tensorMap describes a matrix of whole sequences, as kernel/hopper.cuh reads it.
func newTensorMap(m matrix, s kernels.AttentionShape) (t tensorMap, err error) {
	if m.buf == nil {
		return t, nil
	}
	code := C.px_tensor_map(unsafe.Pointer(&t), C.CUdeviceptr(m.buf.ptr), C.uint64_t(m.cols), C.uint64_t(s.SeqLen), C.uint64_t(s.Batch), C.uint64_t(m.stride))
	if err := result(code); err != nil {
		return t, fmt.Errorf("describe a matrix of %dx%d with stride %d to the copy engine: %w", m.rows, m.cols, m.stride, err)
	}
	return t, nil
}

// launchMaps runs a program whose first parameters are tensor maps.
func (b *Backend) launchMaps(p program, g grid, maps []tensorMap, args ...uint64) error {
	k, err := b.load(p, g.shared)
	if err != nil {
		return err
	}
	var block []byte
	var offsets []C.uint
	for _, m := range maps {
		offsets = append(offsets, C.uint(len(block)))
		block = append(block, m[:]...)
	}
	for i := range args {
		offsets = append(offsets, C.uint(len(block)))
		block = append(block, (*[8]byte)(unsafe.Pointer(&args[i]))[:]...)
	}
	dims, threads := [3]C.uint{C.uint(g.x), C.uint(g.y), C.uint(g.z)}, [3]C.uint{C.uint(g.threads), 1, 1}
	code := C.px_launch(functionHandle(k.fn), &dims[0], &threads[0], C.uint(g.shared), streamHandle(b.queue.compute.stream),
		unsafe.Pointer(&block[0]), &offsets[0], C.int(len(offsets)))
	if err := result(code); err != nil {
		return fmt.Errorf("launch kernel %v: %w", p, err)
	}
	return nil
}

// The copy engine moves tiles of 64 rows and 64 columns.
const hopperTile = 64 * 64 * 2

// hopper says whether the kernels for Hopper serve a shape: heads of whole tiles,
// inputs that the copy engine can address, outputs that pairs can be stored to.
func (b *Backend) hopper(p attentionPlan, outputs ...matrix) bool {
	if b.portable || b.arch != "sm_90a" || !p.aligned || p.dim != 64 && p.dim != 128 {
		return false
	}
	for _, m := range outputs {
		if m.buf != nil && (m.stride%2 != 0 || uint64(m.buf.ptr)%4 != 0) {
			return false
		}
	}
	return true
}

// forwardHopper is the program for Hopper, with its shared memory.
func (p attentionPlan) forwardHopper() (program, int) {
	const stages = 4
	halves := p.dim / 64
	defines := fmt.Sprintf("DIM=%d STAGES=%d %s %s", p.dim, stages, flag("PROBE", p.probe), flag("STARTS", p.starts))
	return program{"attention_forward_hopper", defines}, (2*p.per(2) + 2*stages) * halves * hopperTile
}

// newTensorMaps describes several matrices.
func newTensorMaps(s kernels.AttentionShape, ms ...matrix) ([]tensorMap, error) {
	maps := make([]tensorMap, len(ms))
	for i, m := range ms {
		var err error
		if maps[i], err = newTensorMap(m, s); err != nil {
			return nil, err
		}
	}
	return maps, nil
}

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

// newTensorMap describes a matrix of whole sequences, as kernel/hopper.cuh reads it.
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

// hopperProgram is a program for Hopper that keeps some tiles of the whole width in
// shared memory and, in a ring of stages, others, with extra bytes a stage.
func (p attentionPlan) hopperProgram(name string, kept, staged, stages, extra int) (program, int) {
	defines := fmt.Sprintf("DIM=%d STAGES=%d %s %s", p.dim, stages, flag("PROBE", p.probe), flag("STARTS", p.starts))
	return program{name, defines}, (kept+stages*staged)*p.dim/64*hopperTile + stages*extra
}

// The three programs, with the shared memory that each needs, as laid out at the
// head of its source.
func (p attentionPlan) forwardHopper() (program, int) {
	return p.hopperProgram("attention_forward_hopper", 2*p.per(2), 2, 4, 0)
}

func (p attentionPlan) backwardQHopper() (program, int) {
	return p.hopperProgram("attention_backward_q_hopper", 2*p.per(3), 2, 4, 0)
}

func (p attentionPlan) backwardKHopper() (program, int) {
	return p.hopperProgram("attention_backward_k_hopper", 4, p.per(3), 3, hopperStats*4)
}

// hopperStats is the number of floats that describe 64 queries of a head: see
// kernel/attention_stats_hopper.cu.
const hopperStats = 5 * 64

// hopperGrid is a block of three warpgroups for every 128 queries or keys, head and
// sequence.
func hopperGrid(s kernels.AttentionShape, heads, shared int) grid {
	return grid{x: (s.SeqLen + 127) / 128, y: heads, z: s.Batch, threads: 384, shared: shared}
}

// attentionForwardHopper runs the forward pass on Hopper's own instructions.
func (b *Backend) attentionForwardHopper(s kernels.AttentionShape, plan attentionPlan, o, vbar, q, r, k, v matrix, lse, tbar, first *buffer) error {
	maps, err := newTensorMaps(s, q, r, k, v)
	if err != nil {
		return err
	}
	p, shared := plan.forwardHopper()
	return b.launchMaps(p, hopperGrid(s, s.QHeads, shared), maps, ptr(o.buf), ptr(vbar.buf), ptr(lse), ptr(tbar), ptr(first),
		num(o.stride), num(vbar.stride), num(s.SeqLen), num(s.QHeads), num(s.KVHeads), real(s.Scale))
}

// attentionBackwardHopper is the same for the backward pass.
func (b *Backend) attentionBackwardHopper(s kernels.AttentionShape, a attentionArgs) error {
	maps, err := newTensorMaps(s, a.g, a.q, a.r, a.k, a.v)
	if err != nil {
		return err
	}
	p := program{"attention_stats_hopper", fmt.Sprintf("DIM=%d %s %s", s.HeadDim, flag("PROBE", a.plan.probe), flag("STARTS", a.plan.starts))}
	items := s.Batch * s.QHeads * ((s.SeqLen + 63) / 64 * 64)
	err = b.launch(p, blocks((items+7)/8, 256), ptr(a.stats), ptr(a.g.buf), ptr(a.o.buf), ptr(a.vbar.buf), ptr(a.lse), ptr(a.tbar), ptr(a.first),
		num(a.g.stride), num(a.o.stride), num(a.vbar.stride), num(s.Batch), num(s.QHeads), num(s.SeqLen))
	if err != nil {
		return err
	}
	run := func(p program, shared, heads int, x, y matrix) error {
		return b.launchMaps(p, hopperGrid(s, heads, shared), maps, ptr(x.buf), ptr(y.buf), ptr(a.stats), ptr(a.first),
			num(x.stride), num(y.stride), num(s.SeqLen), num(s.QHeads), num(s.KVHeads), real(s.Scale))
	}
	p, shared := a.plan.backwardQHopper()
	if err := run(p, shared, s.QHeads, a.dq, a.dr); err != nil {
		return err
	}
	p, shared = a.plan.backwardKHopper()
	return run(p, shared, s.KVHeads, a.dk, a.dv)
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

package cpu

import (
	"fmt"

	"parallax/kernels"
)

// Zero clears dst.
func (b *Backend) Zero(dst kernels.Buffer) {
	b.convert = convertJob{dst: own(dst)}
	runOnce(b.pool, elementTasks(dst.Len()), &b.convert)
}

// Copy copies src to dst, converting the element type.
func (b *Backend) Copy(dst, src kernels.Buffer) {
	if dst.Len() != src.Len() {
		panic(fmt.Sprintf("cpu: copy of %d elements to %d", src.Len(), dst.Len()))
	}
	b.convert = convertJob{set: b.kernels, dst: own(dst), src: own(src)}
	runOnce(b.pool, elementTasks(dst.Len()), &b.convert)
}

// convertJob copies src to dst, or clears dst without src.
type convertJob struct {
	set      *kernelSet
	dst, src *buffer
}

func (j *convertJob) run(_ *worker, task int) {
	lo, hi := elementRange(task, j.dst.n)
	d := j.dst.dtype.Size()
	dst := j.dst.raw[lo*d : hi*d]
	if j.src == nil {
		clear(dst)
		return
	}
	s := j.src.dtype.Size()
	src := j.src.raw[lo*s : hi*s]
	switch from, to := j.src.dtype, j.dst.dtype; {
	case from == to:
		copy(dst, src)
	case from == kernels.F32 && to == kernels.BF16:
		toBF16(j.set, kernels.Cast[uint16](dst), kernels.Cast[float32](src))
	case from == kernels.BF16 && to == kernels.F32:
		fromBF16(j.set, kernels.Cast[float32](dst), kernels.Cast[uint16](src))
	default:
		convertAny(dst, to, src, from)
	}
}

// convertAny converts by way of float64, which holds every other type exactly.
func convertAny(dst []byte, to kernels.DType, src []byte, from kernels.DType) {
	for i := range len(src) / from.Size() {
		storeAs(dst, to, i, loadAs(src, from, i))
	}
}

func loadAs(src []byte, from kernels.DType, i int) float64 {
	switch from {
	case kernels.F32:
		return float64(kernels.Cast[float32](src)[i])
	case kernels.F64:
		return kernels.Cast[float64](src)[i]
	case kernels.BF16:
		return float64(kernels.FromBF16(kernels.Cast[uint16](src)[i]))
	default:
		return float64(kernels.Cast[int32](src)[i])
	}
}

func storeAs(dst []byte, to kernels.DType, i int, x float64) {
	switch to {
	case kernels.F32:
		kernels.Cast[float32](dst)[i] = float32(x)
	case kernels.F64:
		kernels.Cast[float64](dst)[i] = x
	case kernels.BF16:
		kernels.Cast[uint16](dst)[i] = kernels.ToBF16(float32(x))
	default:
		kernels.Cast[int32](dst)[i] = int32(x)
	}
}

// toBF16 and fromBF16 convert whole vectors with the kernel set, the rest in Go.

func toBF16(set *kernelSet, dst []uint16, src []float32) {
	whole := len(src) / set.lanes * set.lanes
	set.toBF16(dst[:whole], src[:whole])
	toBF16Portable(dst[whole:], src[whole:])
}

func fromBF16(set *kernelSet, dst []float32, src []uint16) {
	whole := len(src) / set.lanes * set.lanes
	set.fromBF16(dst[:whole], src[:whole])
	fromBF16Portable(dst[whole:], src[whole:])
}

func toBF16Portable(dst []uint16, src []float32) {
	for i, x := range src {
		dst[i] = kernels.ToBF16(x)
	}
}

func fromBF16Portable(dst []float32, src []uint16) {
	for i, x := range src {
		dst[i] = kernels.FromBF16(x)
	}
}

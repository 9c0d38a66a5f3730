package ref

import (
	"encoding/binary"
	"fmt"
	"math"

	"parallax/kernels"
)

// memory is one allocation. Floating-point numbers of every type are held as
// float64 and rounded to the type whenever they are stored.
type memory struct {
	backend *Backend
	dtype   kernels.DType
	floats  []float64
	ints    []int32
	freed   bool
}

// buffer is the view of elements [lo, hi) of an allocation.
type buffer struct {
	*memory
	lo, hi int
}

func (b buffer) DType() kernels.DType { return b.dtype }
func (b buffer) Len() int             { return b.hi - b.lo }

func (b buffer) Slice(lo, hi int) kernels.Buffer {
	if lo < 0 || hi < lo || hi > b.Len() {
		panic(fmt.Sprintf("ref: slice [%d, %d) of a buffer of %d elements", lo, hi, b.Len()))
	}
	return view{buffer{b.memory, b.lo + lo, b.lo + hi}}
}

// Free forbids further use of the memory. What was enqueued keeps it.
func (b buffer) Free() { b.backend.free(b.memory) }

// view is a slice of a buffer: it does not own the memory.
type view struct{ buffer }

func (view) Free() {}

// resolve returns the buffer behind an argument, which must be the backend's own
// and not freed.
func (b *Backend) resolve(arg kernels.Buffer) buffer {
	var own buffer
	switch arg := arg.(type) {
	case buffer:
		own = arg
	case view:
		own = arg.buffer
	default:
		panic(fmt.Sprintf("ref: a buffer of another backend (%T)", arg))
	}
	if own.backend != b {
		panic("ref: a buffer of another oracle")
	}
	if b.isFreed(own.memory) {
		panic(fmt.Sprintf("ref: a buffer of %d %v was used after Free", own.Len(), own.dtype))
	}
	return own
}

// vec is a run of numbers, and the type that they are rounded to.
type vec struct {
	x     []float64
	dtype kernels.DType
}

func (v vec) set(i int, x float64) { v.x[i] = round(v.dtype, x) }
func (v vec) add(i int, x float64) { v.set(i, v.x[i]+x) }

// mat is a row-major matrix.
type mat struct {
	vec
	rows, cols, stride int
}

func (m mat) empty() bool             { return m.x == nil }
func (m mat) at(i, j int) float64     { return m.x[i*m.stride+j] }
func (m mat) set(i, j int, x float64) { m.vec.set(i*m.stride+j, x) }
func (m mat) add(i, j int, x float64) { m.vec.add(i*m.stride+j, x) }
func (m mat) row(i int) vec           { return m.part(i, 0, m.cols) }

// part is elements [lo, hi) of row i.
func (m mat) part(i, lo, hi int) vec {
	return vec{m.x[i*m.stride+lo : i*m.stride+hi], m.dtype}
}

func (b *Backend) vec(arg kernels.Buffer) vec {
	if arg == nil {
		return vec{}
	}
	buf := b.resolve(arg)
	if buf.dtype == kernels.I32 {
		panic("ref: int32 elements where numbers are needed")
	}
	return vec{buf.floats[buf.lo:buf.hi], buf.dtype}
}

func (b *Backend) mat(arg kernels.Matrix) mat {
	if arg.Empty() {
		return mat{}
	}
	return mat{b.vec(arg.Buf), arg.Rows, arg.Cols, arg.Stride}
}

func (b *Backend) ints(arg kernels.Buffer) []int32 {
	if arg == nil {
		return nil
	}
	buf := b.resolve(arg)
	if buf.dtype != kernels.I32 {
		panic(fmt.Sprintf("ref: %v elements where int32 are needed", buf.dtype))
	}
	return buf.ints[buf.lo:buf.hi]
}

func round(dt kernels.DType, x float64) float64 {
	switch dt {
	case kernels.F32:
		return float64(float32(x))
	case kernels.BF16:
		return float64(kernels.FromBF16(kernels.ToBF16(float32(x))))
	}
	return x
}

// store decodes bytes into the start of the buffer.
func (b buffer) store(src []byte) {
	for i := range len(src) / b.dtype.Size() {
		switch b.dtype {
		case kernels.F64:
			b.floats[b.lo+i] = math.Float64frombits(binary.NativeEndian.Uint64(src[8*i:]))
		case kernels.F32:
			b.floats[b.lo+i] = float64(math.Float32frombits(binary.NativeEndian.Uint32(src[4*i:])))
		case kernels.BF16:
			b.floats[b.lo+i] = float64(kernels.FromBF16(binary.NativeEndian.Uint16(src[2*i:])))
		case kernels.I32:
			b.ints[b.lo+i] = int32(binary.NativeEndian.Uint32(src[4*i:]))
		}
	}
}

// load encodes the start of the buffer as bytes.
func (b buffer) load(dst []byte) {
	for i := range len(dst) / b.dtype.Size() {
		switch b.dtype {
		case kernels.F64:
			binary.NativeEndian.PutUint64(dst[8*i:], math.Float64bits(b.floats[b.lo+i]))
		case kernels.F32:
			binary.NativeEndian.PutUint32(dst[4*i:], math.Float32bits(float32(b.floats[b.lo+i])))
		case kernels.BF16:
			binary.NativeEndian.PutUint16(dst[2*i:], kernels.ToBF16(float32(b.floats[b.lo+i])))
		case kernels.I32:
			binary.NativeEndian.PutUint32(dst[4*i:], uint32(b.ints[b.lo+i]))
		}
	}
}

package ref

import (
	"fmt"
	"sync"
	"unsafe"

	"parallax/kernels"
)

func init() {
	kernels.Register("ref", func(index int, _ kernels.Options) (kernels.Backend, error) {
		if index != 0 {
			return nil, fmt.Errorf("device ref:%d: there is one oracle, ref", index)
		}
		return New(), nil
	})
}

// MaxBytes is the memory of the oracle: it is for small problems.
const MaxBytes = 8 << 30

// Backend is the oracle. It implements [kernels.Backend].
type Backend struct {
	queue

	allocation sync.Mutex // guards bytes and every memory.freed
	bytes      int64      // allocated and not freed, eight to a number of any type
}

var _ kernels.Backend = (*Backend)(nil)

// New returns an oracle with an empty queue.
func New() *Backend { return &Backend{} }

// Info says that both types are float64.
func (b *Backend) Info() kernels.Info {
	return kernels.Info{
		Device:     "ref",
		Summary:    "float64 oracle, 1 thread",
		Threads:    1,
		Arithmetic: "float64",
		Precision:  kernels.Precision{Compute: kernels.F64, Master: kernels.F64},
	}
}

// Alloc returns n zeroed elements of any type.
func (b *Backend) Alloc(dt kernels.DType, n int) (kernels.Buffer, error) {
	b.allocation.Lock()
	defer b.allocation.Unlock()
	if n < 0 || int64(n) > (MaxBytes-b.bytes)/8 {
		return nil, fmt.Errorf("ref: cannot allocate %d %v elements: %d of %d bytes are free", n, dt, MaxBytes-b.bytes, int64(MaxBytes))
	}
	b.bytes += 8 * int64(n)
	m := &memory{backend: b, dtype: dt}
	if dt == kernels.I32 {
		m.ints = make([]int32, n)
	} else {
		m.floats = make([]float64, n)
	}
	return buffer{m, 0, n}, nil
}

func (b *Backend) free(m *memory) {
	b.allocation.Lock()
	defer b.allocation.Unlock()
	if m.freed {
		panic("ref: a buffer was freed twice")
	}
	m.freed = true
	b.bytes -= 8 * int64(max(len(m.floats), len(m.ints)))
}

func (b *Backend) isFreed(m *memory) bool {
	b.allocation.Lock()
	defer b.allocation.Unlock()
	return m.freed
}

// HostAlloc returns zeroed bytes, aligned to 64.
func (b *Backend) HostAlloc(bytes int) []byte {
	const align = 64
	raw := make([]byte, bytes+align)
	skip := -int(uintptr(unsafe.Pointer(&raw[0]))) & (align - 1)
	return raw[skip : skip+bytes : skip+bytes]
}

// CopyIn reads src when it runs, not now.
func (b *Backend) CopyIn(dst kernels.Buffer, src []byte) kernels.Event {
	to := b.copyArgument(dst, len(src))
	return b.enqueueCopy(func() error { to.store(src); return nil })
}

// CopyOut writes dst when it runs, not now.
func (b *Backend) CopyOut(dst []byte, src kernels.Buffer) kernels.Event {
	from := b.copyArgument(src, len(dst))
	return b.enqueueCopy(func() error { from.load(dst); return nil })
}

func (b *Backend) copyArgument(arg kernels.Buffer, bytes int) buffer {
	buf := b.resolve(arg)
	if size := buf.dtype.Size(); bytes%size != 0 || bytes > buf.Len()*size {
		panic(fmt.Sprintf("ref: copy of %d bytes to or from %d %v elements", bytes, buf.Len(), buf.dtype))
	}
	return buf
}

// Mark returns the event of everything enqueued so far.
func (b *Backend) Mark() kernels.Event { return b.mark() }

// Sync runs everything enqueued so far.
func (b *Backend) Sync() error { return b.mark().Wait() }

// Close runs what is left.
func (b *Backend) Close() error { return b.Sync() }

// Zero stores zeros.
func (b *Backend) Zero(dst kernels.Buffer) {
	to := b.resolve(dst)
	b.enqueue(func() error {
		if to.dtype == kernels.I32 {
			clear(to.ints[to.lo:to.hi])
		} else {
			clear(to.floats[to.lo:to.hi])
		}
		return nil
	})
}

// Copy converts between floating-point types; int32 is copied to int32 only.
func (b *Backend) Copy(dst, src kernels.Buffer) {
	if dst.Len() != src.Len() {
		panic(fmt.Sprintf("ref: copy of %d elements to %d", src.Len(), dst.Len()))
	}
	if src.DType() == kernels.I32 {
		to, from := b.ints(dst), b.ints(src)
		b.enqueue(func() error { copy(to, from); return nil })
		return
	}
	to, from := b.vec(dst), b.vec(src)
	b.enqueue(func() error {
		for i, x := range from.x {
			to.set(i, x)
		}
		return nil
	})
}

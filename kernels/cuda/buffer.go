//go:build cuda

package cuda

import (
	"fmt"

	"gorgonia.org/cu"
	"parallax/kernels"
)

// block is one allocation.
type block struct {
	b      *Backend
	ptr    cu.DevicePtr
	bytes  int64
	freed  bool
	copied *mark // the last copy from or to the host; the queue's goroutine only
}

// buffer is a run of elements of a block: kernels.Buffer.
type buffer struct {
	block *block
	ptr   cu.DevicePtr
	dtype kernels.DType
	n     int
	view  bool
}

func (s *buffer) DType() kernels.DType { return s.dtype }
func (s *buffer) Len() int             { return s.n }
func (s *buffer) bytes() int           { return s.n * s.dtype.Size() }

func (s *buffer) Slice(lo, hi int) kernels.Buffer {
	if lo < 0 || hi < lo || hi > s.n {
		panic(fmt.Sprintf("kernels: elements [%d, %d) of a buffer of %d", lo, hi, s.n))
	}
	return &buffer{block: s.block, ptr: s.ptr + cu.DevicePtr(lo*s.dtype.Size()), dtype: s.dtype, n: hi - lo, view: true}
}

func (s *buffer) Free() {
	if s.view || s.block.freed {
		return
	}
	s.block.freed = true
	s.block.b.free(s.block)
}

// own is the buffer as this backend knows it.
func (b *Backend) own(op string, buf kernels.Buffer) *buffer {
	s, ok := buf.(*buffer)
	switch {
	case !ok || s.block.b != b:
		panic(fmt.Sprintf("kernels: %s: a buffer of another device (%T)", op, buf))
	case s.block.freed:
		panic(fmt.Sprintf("kernels: %s: the buffer has been freed", op))
	}
	return s
}

// Alloc returns n zeroed elements.
func (b *Backend) Alloc(dt kernels.DType, n int) (kernels.Buffer, error) {
	if n < 0 {
		panic(fmt.Sprintf("kernels: allocation of %d elements", n))
	}
	s, err := b.alloc(dt, n)
	if err != nil {
		return nil, err
	}
	b.Zero(s)
	return s, nil
}

// alloc returns n elements as they are.
func (b *Backend) alloc(dt kernels.DType, n int) (*buffer, error) {
	bytes := int64(n) * int64(dt.Size())
	ptr, err := b.pool.get(bytes)
	if err != nil {
		return nil, err
	}
	return &buffer{block: &block{b: b, ptr: ptr, bytes: bytes}, ptr: ptr, dtype: dt, n: n}, nil
}

// free returns a block to the pool. Should a copy still use it, what is enqueued
// from now on waits for the copy.
func (b *Backend) free(blk *block) {
	b.queue.do("free", func() error {
		if blk.copied == nil {
			return nil
		}
		select {
		case <-blk.copied.done:
			return nil
		default:
			return b.issue(pause{blk.copied})
		}
	})
	b.pool.put(blk.ptr, blk.bytes)
}

// growMemory and shrinkMemory are the pool's door to the driver.
func (b *Backend) growMemory(bytes int64) (ptr cu.DevicePtr, err error) {
	err = b.queue.call(func() error {
		ptr, err = cu.MemAlloc(bytes)
		if err != nil {
			if free, total, e := cu.MemInfo(); e == nil {
				return fmt.Errorf("%w (%s free of %s)", err, size(free), size(total))
			}
		}
		return err
	})
	return ptr, err
}

func (b *Backend) shrinkMemory(blocks []cu.DevicePtr) error {
	b.queue.flush() // what is held may use the blocks
	return b.queue.call(func() error {
		if err := cu.Synchronize(); err != nil {
			return err
		}
		for _, ptr := range blocks {
			if err := cu.MemFree(ptr); err != nil {
				return fmt.Errorf("return device memory: %w", err)
			}
		}
		return nil
	})
}

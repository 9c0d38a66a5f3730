package collective

import (
	"sync/atomic"
	"unsafe"
)

// Buffer is a counted reference to the bytes of one payload, in one part or
// more. A received payload is forwarded by adding a reference, not by copying,
// and its bytes must not be changed, unless the transport that made it says that
// nobody else reads them.
type Buffer struct {
	Parts    [][]byte
	Writable bool // whoever has the only reference may change the bytes
	refs     atomic.Int32
	recycle  func()
}

// Own gives the buffer its first reference. When the last one is released,
// recycle is called, if it is not nil.
func (b *Buffer) Own(recycle func()) {
	b.recycle = recycle
	b.refs.Store(1)
}

// Retain adds a reference.
func (b *Buffer) Retain() { b.refs.Add(1) }

// Release drops a reference. A nil Buffer has none.
func (b *Buffer) Release() {
	if b == nil {
		return
	}
	switch left := b.refs.Add(-1); {
	case left < 0:
		panic("collective: buffer released more often than retained")
	case left == 0 && b.recycle != nil:
		b.recycle()
	}
}

// Len is the number of bytes in all parts. A nil Buffer is empty.
func (b *Buffer) Len() int {
	if b == nil {
		return 0
	}
	n := 0
	for _, p := range b.Parts {
		n += len(p)
	}
	return n
}

// AppendTo appends the bytes of all parts to dst.
func (b *Buffer) AppendTo(dst []byte) []byte {
	if b == nil {
		return dst
	}
	for _, p := range b.Parts {
		dst = append(dst, p...)
	}
	return dst
}

// chunk is a Buffer that a Comm owns: one part, in memory aligned for floats.
type chunk struct {
	Buffer
	words []float32
	whole [1][]byte
	back  func()
}

// chunkPool keeps chunks of one size.
type chunkPool struct {
	words int
	free  FreeList[chunk]
}

// get returns a chunk whose single part has n bytes.
func (p *chunkPool) get(n int) *chunk {
	b := p.free.Take(p.fresh)
	b.whole[0] = bytesOf(b.words)[:n]
	b.Parts = b.whole[:]
	b.Own(b.back)
	return b
}

func (p *chunkPool) fresh() *chunk {
	b := &chunk{words: make([]float32, p.words)}
	b.back = func() { p.free.Put(b) }
	return b
}

// placedAt reports whether b lies at dst already.
func placedAt(b *Buffer, dst []byte) bool {
	return len(b.Parts) == 1 && len(dst) > 0 && len(b.Parts[0]) == len(dst) && &b.Parts[0][0] == &dst[0]
}

// bytesOf views floats as their bytes.
func bytesOf(f []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(f))), 4*len(f))
}

// wordsOf views integers as floats of the same bits, which are only moved.
func wordsOf(ints []int32) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(ints))), len(ints))
}

// viewOf views bytes as values of T; b must be aligned, see alignedTo.
func viewOf[T float32 | int32 | uint16](b []byte) []T {
	var t T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(t)))
}

// alignedTo reports whether every part starts at and spans a multiple of width
// bytes, so that it can be viewed as values of that width.
func alignedTo(parts [][]byte, width int) bool {
	mask := uintptr(width - 1)
	for _, p := range parts {
		if (uintptr(unsafe.Pointer(unsafe.SliceData(p)))|uintptr(len(p)))&mask != 0 {
			return false
		}
	}
	return true
}

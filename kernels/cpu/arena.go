package cpu

import "unsafe"

// cacheLine is the alignment of buffers and scratch, in bytes.
const cacheLine = 64

// arena is scratch memory that grows to the largest request.
type arena struct {
	buf []float32
}

// take returns n floats of unspecified content, valid until the next take.
func (a *arena) take(n int) []float32 {
	if len(a.buf) < n {
		a.buf = nil
		a.buf = alignedFloats(n)
	}
	return a.buf[:n:n]
}

// cut splits the first n elements off *s, rounded up to whole cache lines so
// that neighbouring pieces do not share one.
func cut(s *[]float32, n int) []float32 {
	out := (*s)[:n:n]
	*s = (*s)[lines(n):]
	return out
}

// cutWords is cut for n bfloat16s.
func cutWords(s *[]float32, n int) []uint16 { return words(cut(s, n/2)) }

// words is memory for floats as memory for bfloat16s.
func words(s []float32) []uint16 {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*uint16)(unsafe.Pointer(&s[0])), 2*len(s))
}

// lines rounds a number of floats up to whole cache lines.
func lines(n int) int { return (n + cacheLine/4 - 1) &^ (cacheLine/4 - 1) }

func alignedFloats(n int) []float32 {
	raw := alignedBytes(lines(n) * 4)
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&raw[0])), n)
}

// alignedBytes returns n zeroed bytes that start on a cache line.
func alignedBytes(n int) []byte {
	raw := make([]byte, n+cacheLine)
	skip := -uintptr(unsafe.Pointer(&raw[0])) & (cacheLine - 1)
	return raw[skip : int(skip)+n : int(skip)+n]
}

// Package adder has the inner loops of reductions: sums of float32, of int32, and
// of bfloat16 that travel with float32 that stay.
//
// Each is assembly for AVX-512 or AVX2, whichever cpuid allows, and Go elsewhere
// (portable.go, which also is its definition and takes what a turn of the assembly
// leaves over). Sums are rounded after every addition, one element at a time, so
// all versions give the same bits. The assembly is generated from _asm.
package adder

//go:generate go run -C _asm .

// loops are one instruction set's versions. All but the portable ones take only
// multiples of turn elements.
type loops struct {
	turn    int
	addF32  func(dst, a, b []float32)
	addI32  func(dst, a, b []int32)
	addBF16 func(dst, a []uint16, b []float32)
	addWide func(dst []float32, a []uint16, b []float32)
	narrow  func(dst []uint16, src []float32)
	widen   func(dst []float32, src []uint16)
}

var portable = loops{1, addF32Portable, addI32Portable, addBF16Portable, addWidePortable, narrowPortable, widenPortable}

// best is what this machine uses.
var best = available()[0]

// available are the versions that this machine can run, the fastest first.
func available() []*loops { return append(vectorLoops(), &portable) }

// F32 sets dst[i] = a[i] + b[i]. a and b are at least as long as dst, which may be
// one of them.
func F32(dst, a, b []float32) { best.f32(dst, a, b) }

// I32 sets dst[i] = a[i] + b[i], like F32.
func I32(dst, a, b []int32) { best.i32(dst, a, b) }

// BF16 sets dst[i] to a[i] + b[i], added in float32 and rounded to bfloat16, to the
// nearest and ties to even.
func BF16(dst, a []uint16, b []float32) { best.bf16(dst, a, b) }

// Wide sets dst[i] to a[i], a bfloat16, + b[i], in float32.
func Wide(dst []float32, a []uint16, b []float32) { best.wide(dst, a, b) }

// Narrow rounds src to bfloat16, to the nearest and ties to even.
func Narrow(dst []uint16, src []float32) { best.narrowed(dst, src) }

// Widen turns bfloat16 into float32, exactly.
func Widen(dst []float32, src []uint16) { best.widened(dst, src) }

// whole is how many of n elements fill turns.
func (l *loops) whole(n int) int { return n - n%l.turn }

func (l *loops) f32(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	n := l.whole(len(dst))
	l.addF32(dst[:n], a[:n], b[:n])
	addF32Portable(dst[n:], a[n:], b[n:])
}

func (l *loops) i32(dst, a, b []int32) {
	a, b = a[:len(dst)], b[:len(dst)]
	n := l.whole(len(dst))
	l.addI32(dst[:n], a[:n], b[:n])
	addI32Portable(dst[n:], a[n:], b[n:])
}

func (l *loops) bf16(dst, a []uint16, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	n := l.whole(len(dst))
	l.addBF16(dst[:n], a[:n], b[:n])
	addBF16Portable(dst[n:], a[n:], b[n:])
}

func (l *loops) wide(dst []float32, a []uint16, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	n := l.whole(len(dst))
	l.addWide(dst[:n], a[:n], b[:n])
	addWidePortable(dst[n:], a[n:], b[n:])
}

func (l *loops) narrowed(dst []uint16, src []float32) {
	src = src[:len(dst)]
	n := l.whole(len(dst))
	l.narrow(dst[:n], src[:n])
	narrowPortable(dst[n:], src[n:])
}

func (l *loops) widened(dst []float32, src []uint16) {
	src = src[:len(dst)]
	n := l.whole(len(dst))
	l.widen(dst[:n], src[:n])
	widenPortable(dst[n:], src[n:])
}

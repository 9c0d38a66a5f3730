package adder

import "math"

// sum sets dst[i] = a[i] + b[i].
func sum[T float32 | int32](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}

func addF32Portable(dst, a, b []float32) { sum(dst, a, b) }
func addI32Portable(dst, a, b []int32)   { sum(dst, a, b) }

func addBF16Portable(dst, a []uint16, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = toBF16(fromBF16(a[i]) + b[i])
	}
}

func addWidePortable(dst []float32, a []uint16, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = fromBF16(a[i]) + b[i]
	}
}

func narrowPortable(dst []uint16, src []float32) {
	src = src[:len(dst)]
	for i := range dst {
		dst[i] = toBF16(src[i])
	}
}

func widenPortable(dst []float32, src []uint16) {
	src = src[:len(dst)]
	for i := range dst {
		dst[i] = fromBF16(src[i])
	}
}

func fromBF16(v uint16) float32 { return math.Float32frombits(uint32(v) << 16) }

// toBF16 rounds to the nearest, ties to even. A NaN stays one.
func toBF16(f float32) uint16 {
	bits := math.Float32bits(f)
	if bits&0x7fffffff > 0x7f800000 {
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

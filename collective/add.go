package collective

import "math"

// addF32 sets dst[i] = a[i] + b[i]. All have the length of dst. It takes eight
// elements a turn from slices of known length, which leaves no bounds checks
// between them.
func addF32(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	i := 0
	for ; i+8 <= len(dst); i += 8 {
		d, x, y := dst[i:i+8:i+8], a[i:i+8:i+8], b[i:i+8:i+8]
		d[0] = x[0] + y[0]
		d[1] = x[1] + y[1]
		d[2] = x[2] + y[2]
		d[3] = x[3] + y[3]
		d[4] = x[4] + y[4]
		d[5] = x[5] + y[5]
		d[6] = x[6] + y[6]
		d[7] = x[7] + y[7]
	}
	for ; i < len(dst); i++ {
		dst[i] = a[i] + b[i]
	}
}

// addI32 sets dst[i] = a[i] + b[i], like addF32.
func addI32(dst, a, b []int32) {
	a, b = a[:len(dst)], b[:len(dst)]
	i := 0
	for ; i+8 <= len(dst); i += 8 {
		d, x, y := dst[i:i+8:i+8], a[i:i+8:i+8], b[i:i+8:i+8]
		d[0] = x[0] + y[0]
		d[1] = x[1] + y[1]
		d[2] = x[2] + y[2]
		d[3] = x[3] + y[3]
		d[4] = x[4] + y[4]
		d[5] = x[5] + y[5]
		d[6] = x[6] + y[6]
		d[7] = x[7] + y[7]
	}
	for ; i < len(dst); i++ {
		dst[i] = a[i] + b[i]
	}
}

// addBF16 sets dst[i] to a[i], a bfloat16, plus b[i], in float32, rounded.
func addBF16(dst, a []uint16, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = toBF16(fromBF16(a[i]) + b[i])
	}
}

// addWide sets dst[i] to a[i], a bfloat16, plus b[i], in float32.
func addWide(dst []float32, a []uint16, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = fromBF16(a[i]) + b[i]
	}
}

// narrow rounds src to bfloat16.
func narrow(dst []uint16, src []float32) {
	src = src[:len(dst)]
	for i := range dst {
		dst[i] = toBF16(src[i])
	}
}

// widen turns bfloat16 into float32, exactly.
func widen(dst []float32, src []uint16) {
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

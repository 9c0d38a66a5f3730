package kernels

import (
	"fmt"
	"math"
)

// ReadFloats copies a buffer of any floating-point type to the host, as float64.
// It waits for the device.
func ReadFloats(b Backend, src Buffer) ([]float64, error) {
	raw := b.HostAlloc(src.Len() * src.DType().Size())
	if err := b.CopyOut(raw, src).Wait(); err != nil {
		return nil, err
	}
	out := make([]float64, src.Len())
	Widen(out, raw, src.DType())
	return out, nil
}

// WriteFloats copies host numbers to a buffer of any floating-point type,
// rounding to nearest even. It waits for the device.
func WriteFloats(b Backend, dst Buffer, src []float64) error {
	Must(checkLen("destination", dst, len(src)))
	raw := b.HostAlloc(len(src) * dst.DType().Size())
	Narrow(raw, dst.DType(), src)
	return b.CopyIn(dst, raw).Wait()
}

// Widen reads len(dst) numbers of a floating-point type from host memory, exactly.
func Widen(dst []float64, src []byte, dt DType) {
	src = src[:len(dst)*dt.Size()]
	switch dt {
	case F32:
		for i, x := range Cast[float32](src) {
			dst[i] = float64(x)
		}
	case F64:
		copy(dst, Cast[float64](src))
	case BF16:
		for i, x := range Cast[uint16](src) {
			dst[i] = float64(FromBF16(x))
		}
	default:
		panic(fmt.Sprintf("kernels: %v is no floating-point type", dt))
	}
}

// Narrow writes numbers to host memory as a floating-point type, rounded to
// nearest even.
func Narrow(dst []byte, dt DType, src []float64) {
	dst = dst[:len(src)*dt.Size()]
	switch dt {
	case F32:
		for i, out := 0, Cast[float32](dst); i < len(src); i++ {
			out[i] = float32(src[i])
		}
	case F64:
		copy(Cast[float64](dst), src)
	case BF16:
		for i, out := 0, Cast[uint16](dst); i < len(src); i++ {
			out[i] = ToBF16(float32(src[i]))
		}
	default:
		panic(fmt.Sprintf("kernels: %v is no floating-point type", dt))
	}
}

// ToBF16 rounds to the nearest bfloat16, ties to even, and keeps NaN a NaN.
func ToBF16(x float32) uint16 {
	u := math.Float32bits(x)
	if x != x {
		return uint16(u>>16) | 0x40
	}
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}

// FromBF16 widens a bfloat16, exactly.
func FromBF16(x uint16) float32 { return math.Float32frombits(uint32(x) << 16) }

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
	switch src.DType() {
	case F32:
		for i, x := range Cast[float32](raw) {
			out[i] = float64(x)
		}
	case F64:
		copy(out, Cast[float64](raw))
	case BF16:
		for i, x := range Cast[uint16](raw) {
			out[i] = float64(math.Float32frombits(uint32(x) << 16))
		}
	default:
		panic(fmt.Sprintf("kernels: ReadFloats of %v", src.DType()))
	}
	return out, nil
}

// WriteFloats copies host numbers to a buffer of any floating-point type,
// rounding to nearest even. It waits for the device.
func WriteFloats(b Backend, dst Buffer, src []float64) error {
	Must(checkLen("destination", dst, len(src)))
	raw := b.HostAlloc(len(src) * dst.DType().Size())
	switch dst.DType() {
	case F32:
		for i, x := range src {
			Cast[float32](raw)[i] = float32(x)
		}
	case F64:
		copy(Cast[float64](raw), src)
	case BF16:
		for i, x := range src {
			Cast[uint16](raw)[i] = ToBF16(float32(x))
		}
	default:
		panic(fmt.Sprintf("kernels: WriteFloats to %v", dst.DType()))
	}
	return b.CopyIn(dst, raw).Wait()
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

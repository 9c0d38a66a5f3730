package kernels

import (
	"fmt"
	"unsafe"
)

// DType is the element type of a [Buffer].
type DType uint8

const (
	F32 DType = iota + 1
	F64
	BF16 // upper half of a float32, rounded to nearest even
	I32
)

// Size is the number of bytes of one element.
func (d DType) Size() int {
	switch d {
	case F64:
		return 8
	case F32, I32:
		return 4
	case BF16:
		return 2
	}
	panic(fmt.Sprintf("kernels: unknown dtype %d", d))
}

func (d DType) String() string {
	switch d {
	case F32:
		return "float32"
	case F64:
		return "float64"
	case BF16:
		return "bfloat16"
	case I32:
		return "int32"
	}
	return fmt.Sprintf("dtype(%d)", uint8(d))
}

// Precision names a backend's two floating-point types.
type Precision struct {
	Compute DType // weights in matrix products, activations and their gradients
	Master  DType // parameters, parameter gradients, optimizer state, statistics
}

// Bytes views a slice of numbers as its bytes, without copying.
func Bytes[T float32 | float64 | int32 | uint16](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), len(s)*int(unsafe.Sizeof(s[0])))
}

// Cast views bytes as numbers, without copying. The bytes must be aligned for T
// and a whole number of elements; memory from [Backend.HostAlloc] is.
func Cast[T float32 | float64 | int32 | uint16](b []byte) []T {
	var zero T
	size := int(unsafe.Sizeof(zero))
	if len(b) == 0 {
		return nil
	}
	if len(b)%size != 0 || uintptr(unsafe.Pointer(&b[0]))%uintptr(size) != 0 {
		panic(fmt.Sprintf("kernels: %d bytes cannot be viewed as %T", len(b), zero))
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), len(b)/size)
}

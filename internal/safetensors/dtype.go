package safetensors

import (
	"fmt"
	"math"
	"math/bits"
)

// DType is an element type, as the header spells it.
type DType string

const (
	F64  DType = "F64"
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
	I64  DType = "I64"
	I32  DType = "I32"
)

// sizes are the element sizes in bytes of all types that the format knows with
// whole bytes. Those without a name above can be skipped over but not read.
var sizes = map[DType]int64{
	F64: 8, F32: 4, F16: 2, BF16: 2, I64: 8, I32: 4,
	"U64": 8, "U32": 4, "I16": 2, "U16": 2, "I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1, "C64": 8,
}

// Size is the number of bytes of one element, 0 for an unknown type.
func (d DType) Size() int { return int(sizes[d]) }

// Tensor is one entry of a header.
type Tensor struct {
	Name  string
	DType DType
	Shape []int // row-major; none: a scalar

	begin, end int64 // within the data
}

// Len is the number of elements.
func (t Tensor) Len() int { return int((t.end - t.begin) / sizes[t.DType]) }

// Bytes is the size in the file.
func (t Tensor) Bytes() int64 { return t.end - t.begin }

// bytesOf is the size of a tensor of a dtype and shape, or why it has none.
func bytesOf(dt DType, shape []int) (int64, error) {
	size, known := sizes[dt]
	if !known {
		return 0, fmt.Errorf("dtype %.20q is unknown", dt)
	}
	total := uint64(size)
	for _, n := range shape {
		if n < 0 {
			return 0, fmt.Errorf("shape %v is negative", shape)
		}
		high, low := bits.Mul64(total, uint64(n))
		if high != 0 || low > math.MaxInt64 {
			return 0, fmt.Errorf("shape %v of %s is larger than any file", shape, dt)
		}
		total = low
	}
	return int64(total), nil
}

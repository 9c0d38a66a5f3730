package collective

import "fmt"

// Op is how a reduction adds.
type Op uint8

const (
	// SumF32 adds float32 values; four bytes an element travel.
	SumF32 Op = iota
	// SumBF16 adds in float32 and rounds each partial sum to bfloat16, to the
	// nearest and ties to even, before it travels in two bytes.
	SumBF16
	// SumI32 adds int32 values: sums that do not depend on the number or order of
	// the ranks, see [Comm.AllReduceInts]. Four bytes an element travel.
	SumI32
	ops // how many there are
)

// ParseOp reads an operation's name as it stands in a run spec.
func ParseOp(name string) (Op, error) {
	for o := range ops {
		if o.String() == name {
			return o, nil
		}
	}
	return 0, fmt.Errorf("unknown reduction %q: use %v, %v or %v", name, SumF32, SumBF16, SumI32)
}

func (o Op) String() string {
	switch o {
	case SumF32:
		return "sum-f32"
	case SumBF16:
		return "sum-bf16"
	case SumI32:
		return "sum-exact"
	}
	return fmt.Sprintf("op %d", uint8(o))
}

// width is how many bytes an element takes on the wire.
func (o Op) width() int {
	if o == SumBF16 {
		return 2
	}
	return 4
}

package collective

import "testing"

func TestParseOp(t *testing.T) {
	for _, op := range []Op{SumF32, SumBF16, SumI32} {
		if got, err := ParseOp(op.String()); err != nil || got != op {
			t.Errorf("%v: %v, %v", op, got, err)
		}
	}
	if _, err := ParseOp("sum"); err == nil {
		t.Error("sum was accepted")
	}
}

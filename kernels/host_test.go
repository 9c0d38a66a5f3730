package kernels_test

import (
	"math"
	"slices"
	"testing"

	"parallax/kernels"
	"parallax/kernels/ref"
)

// TestReadAndWriteFloats rounds to each type on the way in, and widens exactly on
// the way out.
func TestReadAndWriteFloats(t *testing.T) {
	b := ref.New()
	src := []float64{1.0 / 3, -2.5, 1e30, math.Inf(-1)}
	for dt, want := range map[kernels.DType][]float64{
		kernels.F64:  src,
		kernels.F32:  {float64(float32(1.0 / 3)), -2.5, float64(float32(1e30)), math.Inf(-1)},
		kernels.BF16: {0.333984375, -2.5, 0x1.94p+99, math.Inf(-1)},
	} {
		buf, err := b.Alloc(dt, len(src))
		if err != nil {
			t.Fatal(err)
		}
		if err := kernels.WriteFloats(b, buf, src); err != nil {
			t.Fatal(err)
		}
		got, err := kernels.ReadFloats(b, buf)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%v: read %v, %v, want %v", dt, got, err, want)
		}
	}
}

func TestReadAndWriteFloatsRefuse(t *testing.T) {
	b := ref.New()
	ints, err := b.Alloc(kernels.I32, 2)
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(){
		"kernels: int32 is no floating-point type":    func() { kernels.ReadFloats(b, ints) },
		"kernels: destination has 2 elements, want 3": func() { kernels.WriteFloats(b, ints, make([]float64, 3)) },
	} {
		func() {
			defer func() {
				if p := recover(); p != name {
					t.Errorf("panic %v, want %q", p, name)
				}
			}()
			f()
		}()
	}
}

package cpu

import (
	"testing"

	"parallax/kernels"
)

// Peak is within what any machine can do.
func TestPeak(t *testing.T) {
	b, err := New(kernels.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	p, err := b.Peak()
	if err != nil || p.FLOPS < 1e8 || p.FLOPS > 1e14 || p.Bandwidth < 1e8 || p.Bandwidth > 1e13 {
		t.Errorf("peak %+v, %v", p, err)
	}
	t.Logf("%.0f GFLOP/s, %.1f GB/s", p.FLOPS/1e9, p.Bandwidth/1e9)
}

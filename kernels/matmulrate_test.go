package kernels_test

import (
	"testing"
	"time"

	"parallax/kernels"
	_ "parallax/kernels/cpu"
)

func TestMatMulRate(t *testing.T) {
	be, err := kernels.Open("cpu", kernels.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	rate, err := kernels.MatMulRate(be, 20*time.Millisecond)
	if err != nil || rate < 1e8 || rate > 1e14 {
		t.Errorf("%g FLOP/s, %v", rate, err)
	}
}

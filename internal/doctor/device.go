package doctor

import (
	"fmt"
	"time"

	"parallax/kernels"
)

// product is the size of the square matrices that speed is measured with.
const product = 1024

// Device opens a device and measures its matrix products.
func Device(name string, threads int) Finding {
	what := "device " + name
	be, err := kernels.Open(name, kernels.Options{Threads: threads})
	if err != nil {
		return ill(what, err, fmt.Sprintf("this binary knows %v", kernels.Kinds()))
	}
	defer be.Close()
	rate, err := matmulRate(be)
	if err != nil {
		return ill(what, err, "free memory on the device, or choose another")
	}
	return well(what, "%s, %.0f GFLOP/s in a product of %dx%d matrices", be.Info().Summary, rate/1e9, product, product)
}

// matmulRate is the best of some runs, in FLOP/s.
func matmulRate(be kernels.Backend) (float64, error) {
	var m [3]kernels.Matrix
	for i := range m {
		b, err := be.Alloc(be.Info().Precision.Compute, product*product)
		if err != nil {
			return 0, err
		}
		defer b.Free()
		m[i] = kernels.Mat(b, product, product)
	}
	op := kernels.MatMul{C: m[0], A: m[1], B: m[2], TransB: true, Alpha: 1}
	best := 0.0
	for range 5 {
		began := time.Now()
		be.MatMul(op)
		if err := be.Sync(); err != nil {
			return 0, err
		}
		best = max(best, float64(op.FLOPs())/time.Since(began).Seconds())
	}
	return best, nil
}

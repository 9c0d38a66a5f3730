package kernels

// Peak is what a device can do at most, measured on the spot.
type Peak struct {
	FLOPS     float64 // floating-point operations a second in matrix products whose operands are at hand
	Bandwidth float64 // bytes a second between memory and the processors, as a triad a = b + s*c moves them
}

// Peaker is implemented by backends that can measure their device's peak. It
// takes a fraction of a second and is not called while operations run.
type Peaker interface {
	Peak() (Peak, error)
}

package kernels

// Sizer is implemented by backends whose device has memory of its own.
type Sizer interface {
	// Memory is how many bytes the device has, and how many of them nobody uses.
	Memory() (free, total int64, err error)
	// Overhead is about how many bytes are taken beside the buffers that are
	// asked for while a model is trained in micro-batches of so many positions:
	// by the driver, by libraries, and by operations for a while.
	Overhead(positions, width, vocabulary int) int64
}

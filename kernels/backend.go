package kernels

// Backend is one compute device and its queue.
//
// The operations and Alloc are called from one goroutine at a time. CopyIn,
// CopyOut, HostAlloc and Event.Wait may be called from any goroutine, also
// while another one enqueues operations.
//
// An operation whose arguments do not fit together panics with the message of
// its Check method: that is a bug of the caller. What goes wrong on the device
// is reported by the next Event.Wait or Sync, and by every one after it.
type Backend interface {
	Info() Info

	// Alloc returns n zeroed elements (n may be 0), or an error that says how
	// much was asked for and how much is free.
	Alloc(dt DType, n int) (Buffer, error)
	// HostAlloc returns zeroed host memory, aligned to 64 bytes, from which and
	// to which copies are fastest (pinned memory where the device has such).
	// The garbage collector returns it.
	HostAlloc(bytes int) []byte

	// CopyIn copies len(src) bytes to the start of dst; CopyOut copies
	// len(dst) bytes from the start of src. Both begin after everything
	// enqueued before the call; operations enqueued later do not wait for them:
	// wait for the Event before either side is used again.
	CopyIn(dst Buffer, src []byte) Event
	CopyOut(dst []byte, src Buffer) Event
	// Mark returns an Event that is done when everything enqueued so far is.
	Mark() Event
	// Sync waits for everything enqueued so far.
	Sync() error
	// Close waits, then releases the device.
	Close() error

	Zero(dst Buffer)
	// Copy copies src to dst, of equal length, converting the element type.
	Copy(dst, src Buffer)

	MatMul(MatMul)
	RMSNorm(RMSNorm)
	RMSNormBackward(RMSNormBackward)
	HeadRotary(HeadRotary)
	HeadRotaryBackward(HeadRotaryBackward)
	SwiGLU(SwiGLU)
	SwiGLUBackward(SwiGLUBackward)
	Embedding(Embedding)
	EmbeddingBackward(EmbeddingBackward)
	Attention(Attention)
	AttentionBackward(AttentionBackward)
	// NeedsVBar reports whether AttentionBackward of a shape, with R, reads VBar. Where
	// it does not, Attention is the cheaper without.
	NeedsVBar(AttentionShape) bool
	HeadLoss(HeadLoss)

	// SumSquares writes the sum of x's squares to dst[0], or adds it when
	// accumulate is set. dst is of the Master type. The order of summation
	// depends on x's length alone.
	SumSquares(dst, x Buffer, accumulate bool)
	// ClipScale writes min(1, maxNorm/sqrt(sumSquares[0])) to dst[0], the
	// factor that clips a gradient to a global norm; 1 when maxNorm is 0.
	ClipScale(dst, sumSquares Buffer, maxNorm float64)
	AdamW(AdamW)
	Momentum(Momentum)
	Normalize(Normalize)
	Update(Update)
	Quantize(Quantize)
	Dequantize(Dequantize)
}

// Event marks a point in a backend's queue.
type Event interface {
	// Wait blocks until the point is reached, and returns the device's first
	// error, if any.
	Wait() error
}

// Info describes a backend to a person and to the ledger.
type Info struct {
	Device  string // as given to Open, "cpu"
	Summary string // "AVX-512, 2 threads"
	// Arithmetic names what decides the bits of results: devices that share it
	// compute the same.
	Arithmetic string
	Threads    int // host threads used, 0 for a GPU
	Precision  Precision
}

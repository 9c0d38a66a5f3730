package collective

// Transport joins one rank to its two neighbours in the ring of one generation.
// In a ring of two both edges lead to the same rank and are still distinct.
type Transport interface {
	// Next is the edge to the next rank: data goes out, control comes back.
	Next() Edge
	// Prev is the edge to the previous rank: data comes in, control goes back.
	Prev() Edge
	// Close ends both edges. Calls blocked in Send and Recv return with an error.
	Close() error
}

// Edge is a two-way, ordered, reliable queue of frames between neighbours.
// One goroutine sends and another receives.
type Edge interface {
	// Send takes over one reference to the payload, and releases it when the
	// bytes have left or cannot leave. It blocks while the neighbour does not
	// receive, and may return before the bytes have left. The error io.EOF says
	// that the link has ended, and that Recv tells why.
	Send(Frame) error
	// Recv blocks for the next frame. Its payload belongs to the caller.
	Recv() (Frame, error)
}

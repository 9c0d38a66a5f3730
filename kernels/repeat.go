package kernels

// Repeater is implemented by backends that carry out a sequence of operations
// faster when they have seen it before, such as a GPU with graphs.
type Repeater interface {
	// Repeat calls sequence, which enqueues operations and may allocate and
	// free, but makes no copies from or to the host, marks nothing and waits
	// for nothing. What is computed is what the operations say: that an owner's
	// part, named by a number, was the same sequence the last time is a guess
	// that costs time where it is wrong, and nothing else.
	Repeat(owner any, part int, sequence func())
	// Forget releases what is kept of an owner's sequences.
	Forget(owner any)
}

// Repeat enqueues a sequence that is likely to come again: see [Repeater].
func Repeat(be Backend, owner any, part int, sequence func()) {
	if r, can := be.(Repeater); can {
		r.Repeat(owner, part, sequence)
		return
	}
	sequence()
}

// Forget says that an owner's sequences will not come again.
func Forget(be Backend, owner any) {
	if r, can := be.(Repeater); can {
		r.Forget(owner)
	}
}

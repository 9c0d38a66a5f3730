// Package ref is the oracle: every operation of [kernels.Backend] in float64,
// written as plainly as its formula.
//
// Nothing here is fast. Attention is the textbook softmax in two passes, a
// matrix product is three loops, and every sum runs from its first term to its
// last. Other backends are held against it by kernels/kerneltest; it is held
// against finite differences by its own tests, and it is small enough to be
// held against the formulas by reading.
//
// # Late on purpose
//
// The interface lets a backend run operations long after they were enqueued, so
// the oracle does: nothing runs until somebody waits, and a copy runs as late as
// the contract allows, after operations that were enqueued behind it. A caller
// that reads a result too early, changes the source of a CopyIn before its Event
// is done, or uses a buffer whose copy it has not awaited, sees wrong numbers
// here, on a laptop, and not on a GPU at night. See queue.go.
//
// # Where next
//
// buffer.go for how numbers are stored, then one file per operation, each with
// the formula's names.
package ref

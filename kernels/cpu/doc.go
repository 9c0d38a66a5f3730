// Package cpu is the default backend: the host's cores, float32, no cgo.
//
// # Memory
//
// A buffer is a run of elements in the Go heap, aligned to a cache line.
// Operations take what they need beyond their arguments from two places that
// grow to the largest request and are then reused: the backend's shared scratch
// (packed operands, partial sums) and each worker's own (a tile of scores).
// After the first step of a fixed shape nothing is allocated. Attention's
// scratch is linear in the sequence length: it holds a tile of score rows,
// never T x T of them.
//
// # Parallelism
//
// An operation runs when it is called, on a [pool] of goroutines: it is a job of
// n tasks, and whoever is free takes the next. What a task computes depends on
// the shapes alone, never on who runs it or on how many there are; sums that
// cross tasks are kept apart and added in the order of the tasks. So the bits of
// a result do not depend on the number of threads or on timing. Independent sequences
// of small operations, such as the orthogonalisation of one matrix, are dealt out whole, a
// thread each (lanes.go).
//
// # The product at the bottom
//
// One micro-kernel, [tile], does nearly all the floating-point work: a block of
// C held in registers, with arbitrary strides for A, so that transposed and
// interleaved operands need no copy. matmul.go, attention.go and headloss.go
// are loops over it. Sums run over k in one order, whatever the shape of the
// block, so an element of a product depends only on its row, its column and K.
//
// Where the machine has a matrix engine for bfloat16 (AMX), float32 operands are
// cut into three bfloat16 each, without a remainder, and six products of parts
// give the float32 product to its last digit, at more than twice the rate of the
// vector units: parts.go, matmul_parts.go. The sums of attention's gradients make do
// with three of the six, see attention_backward_parts.go.
//
// # Where next
//
// backend.go (the door), pool.go, kernelset.go (what is chosen by cpuid),
// matmul.go, attention.go, attention_backward.go, attention_tile.go, headloss.go.
package cpu

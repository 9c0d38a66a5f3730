// Package kernels is the only door to a compute device.
//
// A [Backend] owns one device (the host's cores, one GPU). The model, the
// optimizer and the trainer are written once against it; they hold [Buffer]
// values, which live on the device, and never a slice of device memory.
//
// # The queue
//
// An operation is enqueued, not awaited: it runs after everything enqueued
// before it, and its result may be read on the host only after an [Event] that
// was made later has been waited for, or after [Backend.Sync]. A backend is
// free to execute at once (kernels/cpu does); callers must not rely on it
// (kernels/ref does not execute anything until somebody waits, to catch those
// that do).
//
// Operations are coarse, so that a training step on a GPU is one queue of
// launches without a host round trip inside: see [MatMul], [Attention],
// [RMSNorm], [HeadRotary], [SwiGLU], [Embedding], [HeadLoss], [AdamW],
// [Momentum], [Normalize], [Update], [Quantize]. Sequences of small ones that do not
// depend on each other can be dealt out to parts of a device, see [Deal].
//
// # Precision
//
// A backend has two floating-point types, see [Precision]: Compute for the
// weights as the matrix products read them and for activations; Master for the
// authoritative parameters, gradients, optimizer state and statistics. They are
// equal on a CPU (float32) and in the oracle (float64), and differ on a GPU
// (bf16 and float32).
//
// # Where next
//
// kernels/ref is the float64 oracle, kernels/kerneltest the conformance suite
// that every backend passes, kernels/cpu the default backend.
package kernels

// Package cuda is the backend for NVIDIA GPUs, bfloat16 for computing and float32
// for what must last. It is built with the tag cuda; without the tag it is empty.
//
// # Building
//
// The driver binding is gorgonia.org/cu, which wants cuda.h and -lcuda. Both are
// here, so that no CUDA toolkit is needed: include/cuda.h declares what the binding
// uses, lib/libcuda.a is an empty archive, and driver.c finds each driver function
// when it is first called. From the repository's root:
//
//	CGO_CFLAGS=-I$PWD/kernels/cuda/include CGO_LDFLAGS=-L$PWD/kernels/cuda/lib \
//	    go build -tags cuda ./cmd/...
//
// The binary starts on a host without a driver and says what is missing when a
// device is opened. At run time it needs the driver (libcuda.so.1), NVRTC and
// cuBLASLt (CUDA 11, 12 or 13, from a toolkit or from NVIDIA's Python wheels);
// PARALLAX_CUDA_LIBS names a folder to look in first.
//
// # Structure
//
// A Backend owns one GPU. Operations are put into a queue that one goroutine,
// locked to a thread that holds the GPU's context, carries out (queue.go): it
// launches kernels on one stream, copies on two more. Every kernel is a file of
// kernel/*.cu, compiled by NVRTC for the GPU at hand when it is first used,
// specialised by head size and the like (program.go), and kept on disk. Matrix
// products go to cuBLASLt (gemm.go). On Hopper, attention with heads of 64 and 128
// has kernels of its own (hopper.go). What a model or an optimizer announces as a
// sequence that comes again is launched as a CUDA graph from its third time on
// (graph.go); PARALLAX_CUDA_GRAPHS=off does without. Nothing adds floating-point numbers in an order
// that could change from run to run.
//
// # Where next
//
// backend.go opens a device; attention.go and kernel/attention_forward.cu are the
// heart; compile_test.go compiles every kernel without a GPU; device_test.go runs
// the conformance suite on one.
package cuda

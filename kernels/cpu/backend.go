package cpu

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"parallax/kernels"
)

func init() {
	kernels.Register("cpu", func(index int, opt kernels.Options) (kernels.Backend, error) {
		if index != 0 {
			return nil, fmt.Errorf("device cpu:%d: the host's cores are one device, use cpu or cpu:0", index)
		}
		return New(opt)
	})
}

// Backend runs operations on the host's cores as they are called.
type Backend struct {
	pool      *pool
	kernels   *kernelSet
	forced    bool   // the environment named the kernel set
	processor string // what it calls itself
	shared    arena  // operands and partial sums that all workers see
	lanes     lanes

	// One of each kind of job: an operation fills its own and runs it.
	gemm          gemmJob
	parts         partsJob
	attention     attentionJob
	attnBackward  attentionBackwardJob
	attnParts     partsAttentionJob
	attnBackParts partsBackwardJob
	headLoss      headLossJob
	rmsNorm       rmsNormJob
	rmsNormBack   rmsNormBackwardJob
	rotary        rotaryJob
	rotaryBack    rotaryBackwardJob
	swiglu        swigluJob
	swigluBack    swigluBackwardJob
	embedding     embeddingJob
	embedBack     embeddingBackwardJob
	squares       squaresJob
	convert       convertJob
	adamw         adamwJob
	momentum      momentumJob
	scale         scaleJob
	quantize      quantizeJob
	dequantize    dequantizeJob
}

// New opens the host's cores. Options.Threads is the number of goroutines that
// compute, at most; 0 means GOMAXPROCS. The environment variable PARALLAX_CPU
// (amx, avx512, avx2, portable) overrides what cpuid chooses.
func New(opt kernels.Options) (*Backend, error) {
	if opt.Threads < 0 {
		return nil, fmt.Errorf("device cpu: %d threads: use a positive number, or 0 for all", opt.Threads)
	}
	override := os.Getenv(kernelsVariable)
	set, err := chooseKernels(override)
	if err != nil {
		return nil, err
	}
	threads := opt.Threads
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	return &Backend{pool: newPool(threads), kernels: set, forced: override != "", processor: processor()}, nil
}

// Info describes the processor, the instruction set in use, whether the environment
// chose it, and the number of threads.
func (b *Backend) Info() kernels.Info {
	n := len(b.pool.workers)
	plural := "s"
	if n == 1 {
		plural = ""
	}
	name := b.kernels.name
	if b.forced {
		name += " by " + kernelsVariable
	}
	return kernels.Info{
		Device:     "cpu",
		Summary:    strings.TrimPrefix(fmt.Sprintf("%s, %s, %d thread%s", b.processor, name, n, plural), ", "),
		Threads:    n,
		Arithmetic: b.kernels.name,
		Precision:  kernels.Precision{Compute: kernels.F32, Master: kernels.F32},
	}
}

// Alloc takes n zeroed elements from the Go heap.
func (b *Backend) Alloc(dt kernels.DType, n int) (kernels.Buffer, error) {
	if n < 0 || n > maxBytes/dt.Size() {
		return nil, fmt.Errorf("device cpu: cannot allocate %d elements of %v", n, dt)
	}
	if err := checkMemory(n * dt.Size()); err != nil {
		return nil, err
	}
	return &buffer{dtype: dt, n: n, raw: alignedBytes(n * dt.Size())}, nil
}

// HostAlloc returns zeroed memory that starts on a cache line.
func (b *Backend) HostAlloc(bytes int) []byte { return alignedBytes(bytes) }

// done is the Event of a backend that has always finished.
type done struct{}

func (done) Wait() error { return nil }

// CopyIn copies at once.
func (b *Backend) CopyIn(dst kernels.Buffer, src []byte) kernels.Event {
	raw := own(dst).raw
	if len(src) > len(raw) {
		panic(fmt.Sprintf("cpu: copy of %d bytes into a buffer of %d", len(src), len(raw)))
	}
	copyBytes(raw[:len(src)], src)
	return done{}
}

// CopyOut copies at once.
func (b *Backend) CopyOut(dst []byte, src kernels.Buffer) kernels.Event {
	raw := own(src).raw
	if len(dst) > len(raw) {
		panic(fmt.Sprintf("cpu: copy of %d bytes out of a buffer of %d", len(dst), len(raw)))
	}
	copyBytes(dst, raw[:len(dst)])
	return done{}
}

// copyPiece is how many bytes are copied at a time. A goroutine cannot be stopped
// within a copy: to collect garbage, which stops all for a moment, would have all
// wait until a gigabyte is copied.
const copyPiece = 1 << 20

// copyBytes copies src to dst, which are of one length.
func copyBytes(dst, src []byte) {
	for lo := 0; lo < len(src); lo += copyPiece {
		copy(dst[lo:], src[lo:min(lo+copyPiece, len(src))])
	}
}

// Mark is done when it returns.
func (b *Backend) Mark() kernels.Event { return done{} }

// Sync has nothing to wait for.
func (b *Backend) Sync() error { return nil }

// Close ends the worker goroutines.
func (b *Backend) Close() error {
	b.pool.stop()
	return nil
}

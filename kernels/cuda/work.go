//go:build cuda

package cuda

// #include "shim.h"
import "C"

import (
	"bytes"
	"fmt"
	"unsafe"

	"gorgonia.org/cu"
)

// work is one thing that the compute stream is given: a kernel, a product, a fill, a
// copy, or to wait for an event.
type work interface {
	start(b *Backend) error
}

// issue starts a piece of work, or notes it where a sequence is being collected. It
// runs on the queue's goroutine.
func (b *Backend) issue(w work) error {
	if b.collecting != nil {
		b.collecting.note(w)
		return nil
	}
	return w.start(b)
}

// kernelLaunch runs a kernel with parameters that lie one after another in block;
// parameter i begins at offsets[i].
type kernelLaunch struct {
	program program
	fn      cu.Function
	grid    grid
	block   []byte
	offsets []C.uint
}

func (k *kernelLaunch) start(b *Backend) error {
	dims, threads := k.dims()
	code := C.px_launch(functionHandle(k.fn), &dims[0], &threads[0], C.uint(k.grid.shared), streamHandle(b.queue.compute.stream),
		unsafe.Pointer(&k.block[0]), &k.offsets[0], C.int(len(k.offsets)))
	if err := result(code); err != nil {
		return fmt.Errorf("launch kernel %v: %w", k.program, err)
	}
	return nil
}

func (k *kernelLaunch) dims() (blocks, threads [3]C.uint) {
	return [3]C.uint{C.uint(k.grid.x), C.uint(k.grid.y), C.uint(k.grid.z)}, [3]C.uint{C.uint(k.grid.threads), 1, 1}
}

// alike says whether one launch can take the place of another in a graph.
func (k *kernelLaunch) alike(other work) bool {
	o, ok := other.(*kernelLaunch)
	return ok && k.program == o.program && len(k.block) == len(o.block)
}

// productLaunch runs a matrix product by a plan of cuBLASLt, as it counts: columns
// first.
type productLaunch struct {
	plan        *C.px_plan
	a, b, c, d  cu.DevicePtr
	alpha, beta float32
}

func (p productLaunch) start(b *Backend) error {
	return blasError("multiply", C.px_plan_run(b.blas.lib, p.plan, C.float(p.alpha),
		C.CUdeviceptr(p.a), C.CUdeviceptr(p.b), C.float(p.beta), C.CUdeviceptr(p.c), C.CUdeviceptr(p.d),
		C.CUdeviceptr(b.blas.workspace.ptr), blasWorkspace, streamHandle(b.queue.compute.stream)))
}

// fill writes n 32-bit words, or bytes, of one value.
type fill struct {
	dst   cu.DevicePtr
	value uint32
	n     int64
	words bool
}

func (f fill) start(b *Backend) error {
	if f.words {
		return cu.MemsetD32Async(f.dst, uint(f.value), f.n, b.queue.compute.stream)
	}
	return cu.MemsetD8Async(f.dst, byte(f.value), f.n, b.queue.compute.stream)
}

// move copies bytes within the device.
type move struct {
	dst, src cu.DevicePtr
	bytes    int64
}

func (m move) start(b *Backend) error {
	return cu.MemcpyDtoDAsync(m.dst, m.src, m.bytes, b.queue.compute.stream)
}

// pause waits for a copy to or from the host. It never comes a second time.
type pause struct{ mark *mark }

func (p pause) start(b *Backend) error { return b.queue.compute.stream.Wait(p.mark.event, 0) }

// same says whether two pieces of work do the same.
func same(x, y work) bool {
	k, ok := x.(*kernelLaunch)
	if !ok {
		return x == y
	}
	o, ok := y.(*kernelLaunch)
	return ok && k.alike(o) && k.grid == o.grid && bytes.Equal(k.block, o.block)
}

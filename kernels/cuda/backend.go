//go:build cuda

package cuda

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"gorgonia.org/cu"
	"parallax/kernels"
)

func init() { kernels.Register("cuda", Open) }

// Backend is one GPU. See package kernels for what its methods do.
type Backend struct {
	device  cu.Device
	info    kernels.Info
	arch    string // what kernels are compiled for: "sm_90a"
	units   int    // multiprocessors
	queue   *queue
	pool    *pool
	host    *hostMemory
	kernels map[program]kernel // the queue's goroutine only
	blas    *blas
	closed  bool

	graphs     bool                    // repeated sequences become graphs
	recordings map[sequence]*recording // the queue's goroutine only, as
	collecting *collector              // where a sequence is being collected

	portable bool // leave the kernels for Hopper alone; tests compare
}

var _ kernels.Backend = (*Backend)(nil)

// Open opens the GPU of an index, as "cuda:0" names it.
func Open(index int, _ kernels.Options) (kernels.Backend, error) {
	b, err := open(index)
	if err != nil {
		return nil, fmt.Errorf("cuda:%d: %w", index, err)
	}
	return b, nil
}

func open(index int) (*Backend, error) {
	device, err := findDevice(index)
	if err != nil {
		return nil, err
	}
	compiler, err := loadCompiler()
	if err != nil {
		return nil, err
	}
	b := &Backend{device: device, kernels: map[program]kernel{}, graphs: graphsWanted(), recordings: map[sequence]*recording{}}
	if err := b.describe(index); err != nil {
		return nil, err
	}
	if b.queue, err = newQueue(device); err != nil {
		return nil, err
	}
	b.pool = &pool{free: map[int64][]cu.DevicePtr{}, grow: b.growMemory, shrink: b.shrinkMemory}
	b.host = &hostMemory{spare: map[int][][]byte{}, pin: b.pin, unpin: b.unpin}
	if b.blas, err = newBlas(b); err != nil {
		b.Close()
		return nil, err
	}
	b.info.Arithmetic = fmt.Sprintf("%s, NVRTC %s, cuBLASLt %s", b.arch, compiler.version, blasVersion(b.blas.lib))
	b.info.Summary += fmt.Sprintf("; driver for CUDA %s, NVRTC %s, cuBLASLt %s", driverVersion(), compiler.version, blasVersion(b.blas.lib))
	return b, nil
}

func findDevice(index int) (cu.Device, error) {
	if err := driverError(); err != nil {
		return 0, err
	}
	count, err := cu.NumDevices()
	if err != nil {
		return 0, fmt.Errorf("count the GPUs: %w", err)
	}
	if index >= count {
		return 0, fmt.Errorf("the driver knows %d GPUs", count)
	}
	return cu.GetDevice(index)
}

// describe reads what the GPU is.
func (b *Backend) describe(index int) error {
	name, err := b.device.Name()
	if err != nil {
		return fmt.Errorf("read the GPU's name: %w", err)
	}
	attributes, err := b.device.Attributes(cu.ComputeCapabilityMajor, cu.ComputeCapabilityMinor, cu.MultiprocessorCount)
	if err != nil {
		return fmt.Errorf("read the GPU's attributes: %w", err)
	}
	major, minor := attributes[0], attributes[1]
	if major < 8 {
		return fmt.Errorf("%s has compute capability %d.%d; 8.0 (A100) or newer is needed for bfloat16", name, major, minor)
	}
	memory, err := b.device.TotalMem()
	if err != nil {
		return fmt.Errorf("read the GPU's memory: %w", err)
	}
	b.arch = fmt.Sprintf("sm_%d%d", major, minor)
	if major == 9 {
		b.arch += "a"
	}
	b.units = attributes[2]
	b.info = kernels.Info{
		Device:    fmt.Sprintf("cuda:%d", index),
		Summary:   fmt.Sprintf("%s, %s, %d multiprocessors, %s", name, b.arch, b.units, size(memory)),
		Precision: kernels.Precision{Compute: kernels.BF16, Master: kernels.F32},
	}
	return nil
}

// Info describes the GPU.
func (b *Backend) Info() kernels.Info { return b.info }

// HostAlloc returns page-locked memory.
func (b *Backend) HostAlloc(bytes int) []byte { return b.host.alloc(bytes) }

func (b *Backend) pin(p unsafe.Pointer, bytes int) error {
	return b.queue.call(func() error { return pinHost(p, bytes) })
}

// unpin has locked memory unlocked in its turn, after the copies that were
// enqueued. owner keeps the memory from being used again till then.
func (b *Backend) unpin(p uintptr, owner *byte) {
	b.queue.later(func() {
		unpinHost(p) // it fails only where the memory is not locked
		runtime.KeepAlive(owner)
	})
}

// Mark returns an event that is done when everything enqueued so far is.
func (b *Backend) Mark() kernels.Event { return b.queue.mark() }

// Sync waits for everything enqueued so far.
func (b *Backend) Sync() error { return b.queue.mark().Wait() }

// Close waits, then releases the GPU.
func (b *Backend) Close() error {
	if b.closed {
		return nil
	}
	b.closed = true
	err := b.Sync()
	if b.blas != nil {
		b.blas.close()
	}
	b.host.close()
	err = errors.Join(err, b.pool.release(), b.queue.call(b.unload))
	b.queue.stop()
	return err
}

func (b *Backend) unload() error {
	for _, r := range b.recordings {
		r.drop()
	}
	for _, k := range b.kernels {
		if err := k.module.Unload(); err != nil {
			return fmt.Errorf("unload a kernel: %w", err)
		}
	}
	return nil
}

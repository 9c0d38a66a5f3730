//go:build cuda

package cuda

import (
	"fmt"
	"math/bits"
	"sync"

	"gorgonia.org/cu"
)

// pool hands out device memory and keeps what is returned for the next request of
// the same size class. A block can be handed out again at once: what used it was
// enqueued before, what will use it is enqueued after.
type pool struct {
	mu   sync.Mutex
	free map[int64][]cu.DevicePtr
	// bytes in use and bytes kept for the next request
	live, kept int64

	grow   func(bytes int64) (cu.DevicePtr, error)
	shrink func(blocks []cu.DevicePtr) error
}

// sizeClass rounds a request up so that requests of about one size share blocks:
// to an eighth of its magnitude, at least 512 bytes, and at most 2 MiB.
func sizeClass(bytes int64) int64 {
	step := int64(512)
	if bytes > 4096 {
		step = min(int64(1)<<(bits.Len64(uint64(bytes-1))-4), 2<<20)
	}
	return (max(bytes, 1) + step - 1) / step * step
}

// get returns a block of at least bytes.
func (p *pool) get(bytes int64) (cu.DevicePtr, error) {
	class := sizeClass(bytes)
	p.mu.Lock()
	defer p.mu.Unlock()
	if ptr, ok := p.take(class); ok {
		return ptr, nil
	}
	ptr, err := p.grow(class)
	if err != nil && p.kept > 0 {
		if err := p.releaseLocked(); err != nil {
			return 0, err
		}
		ptr, err = p.grow(class)
	}
	if err != nil {
		return 0, fmt.Errorf("allocate %s of device memory (%s in use by this process): %w", size(bytes), size(p.live), err)
	}
	p.live += class
	return ptr, nil
}

func (p *pool) take(class int64) (cu.DevicePtr, bool) {
	list := p.free[class]
	if len(list) == 0 {
		return 0, false
	}
	p.free[class] = list[:len(list)-1]
	p.kept -= class
	p.live += class
	return list[len(list)-1], true
}

// put returns a block that get returned for this many bytes.
func (p *pool) put(ptr cu.DevicePtr, bytes int64) {
	class := sizeClass(bytes)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free[class] = append(p.free[class], ptr)
	p.live -= class
	p.kept += class
}

// release gives all kept blocks back to the driver.
func (p *pool) release() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.releaseLocked()
}

func (p *pool) releaseLocked() error {
	var all []cu.DevicePtr
	for _, list := range p.free {
		all = append(all, list...)
	}
	p.free, p.kept = map[int64][]cu.DevicePtr{}, 0
	if len(all) == 0 {
		return nil
	}
	return p.shrink(all)
}

// size writes a number of bytes for a person.
func size(bytes int64) string {
	switch {
	case bytes >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
	case bytes >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
	}
	return fmt.Sprintf("%d bytes", bytes)
}

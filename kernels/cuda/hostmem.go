//go:build cuda

package cuda

import (
	"runtime"
	"slices"
	"sync"
	"unsafe"
)

// hostMemory is page-locked memory, which the GPU copies from and to at full speed
// and without the host's help. It is ordinary Go memory that the driver has
// locked; a finalizer unlocks it before the garbage collector takes it back.
type hostMemory struct {
	mu     sync.RWMutex // of ranges
	ranges []hostRange  // sorted, apart

	spareMu sync.Mutex
	spare   map[int][][]byte

	pin   func(p unsafe.Pointer, bytes int) error
	unpin func(p uintptr, owner *byte)
}

type hostRange struct{ lo, hi uintptr }

const (
	hostPage = 8192
	// pinFrom is the smallest size that is locked: Go places objects above 32 KiB
	// on pages of their own, so that two locked ranges never share a page.
	pinFrom = 64 << 10
)

// alloc returns zeroed memory that begins at a multiple of 64 bytes.
func (h *hostMemory) alloc(bytes int) []byte {
	if bytes < pinFrom {
		raw := make([]byte, bytes+63)
		skip := int(-uintptr(unsafe.Pointer(&raw[0])) & 63)
		return raw[skip : skip+bytes : skip+bytes]
	}
	raw := make([]byte, (bytes+hostPage-1)/hostPage*hostPage)
	base := unsafe.Pointer(&raw[0])
	if uintptr(base)%hostPage == 0 && h.pin(base, len(raw)) == nil {
		h.add(hostRange{uintptr(base), uintptr(base) + uintptr(len(raw))})
		runtime.SetFinalizer((*byte)(base), h.drop)
	}
	return raw[:bytes:bytes]
}

func (h *hostMemory) add(r hostRange) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at, _ := h.find(r.lo)
	h.ranges = slices.Insert(h.ranges, at, r)
}

func (h *hostMemory) find(p uintptr) (int, bool) {
	return slices.BinarySearchFunc(h.ranges, p, func(r hostRange, p uintptr) int {
		switch {
		case r.hi <= p:
			return -1
		case r.lo > p:
			return 1
		}
		return 0
	})
}

// drop unlocks memory that nobody refers to any more: its finalizer.
func (h *hostMemory) drop(p *byte) {
	lo := uintptr(unsafe.Pointer(p))
	h.mu.Lock()
	defer h.mu.Unlock()
	if at, ok := h.find(lo); ok {
		h.ranges = slices.Delete(h.ranges, at, at+1)
		h.unpin(lo, p) // under the lock: close must not come between
	}
}

// pinned says whether b lies in locked memory.
func (h *hostMemory) pinned(b []byte) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	lo := uintptr(unsafe.Pointer(&b[0]))
	at, ok := h.find(lo)
	return ok && lo+uintptr(len(b)) <= h.ranges[at].hi
}

// stage returns locked memory of at least the size, from those given back or new.
func (h *hostMemory) stage(bytes int) []byte {
	class := int(sizeClass(int64(bytes)))
	h.spareMu.Lock()
	list := h.spare[class]
	if n := len(list); n > 0 {
		h.spare[class] = list[:n-1]
		h.spareMu.Unlock()
		return list[n-1]
	}
	h.spareMu.Unlock()
	return h.alloc(class)
}

// spareStages is how many stages of one size are kept.
const spareStages = 4

func (h *hostMemory) unstage(stage []byte) {
	h.spareMu.Lock()
	defer h.spareMu.Unlock()
	if class := len(stage); len(h.spare[class]) < spareStages {
		h.spare[class] = append(h.spare[class], stage)
	}
}

// close unlocks everything.
func (h *hostMemory) close() {
	h.spareMu.Lock()
	h.spare = nil
	h.spareMu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.ranges {
		h.unpin(r.lo, nil)
	}
	h.ranges = nil
}

//go:build cuda

package cuda

// #include "nccl.h"
import "C"

import (
	"fmt"
	"sync"
	"unsafe"
)

// nccl is NVIDIA's library of collectives between GPUs.
type nccl struct {
	lib     *C.px_nccl
	version string // "2.28.9"
	path    string
}

// loadNCCL finds NCCL once for the process.
var loadNCCL = sync.OnceValues(func() (*nccl, error) {
	lib, path, err := findLibrary("nccl", "nvidia-nccl-cu13")
	if err != nil {
		return nil, err
	}
	var missing *C.char
	n := C.px_nccl_bind(lib, &missing)
	if n == nil {
		return nil, fmt.Errorf("%s has no %s: NCCL 2.18 or newer is needed", path, C.GoString(missing))
	}
	v := int(C.px_nccl_version(n))
	if v < 21800 {
		return nil, fmt.Errorf("%s is version %d: NCCL 2.18 or newer is needed", path, v)
	}
	return &nccl{lib: n, version: fmt.Sprintf("%d.%d.%d", v/10000, v/100%100, v%100), path: path}, nil
})

// result turns NCCL's result into an error; what is still in progress is none.
func (n *nccl) result(what string, code C.int) error {
	if code == 0 || code == C.PX_NCCL_IN_PROGRESS {
		return nil
	}
	return fmt.Errorf("NCCL %s cannot %s: %s", n.version, what, C.GoString(C.px_nccl_error(n.lib, code)))
}

func (n *nccl) newID() ([]byte, error) {
	id := make([]byte, C.PX_NCCL_ID)
	return id, n.result("name a group", C.px_nccl_id(n.lib, unsafe.Pointer(&id[0])))
}

//go:build cuda

package cuda

// #include "shim.h"
import "C"

import (
	"fmt"
	"strings"
	"sync"
	"unsafe"
)

// compiler is NVRTC, NVIDIA's run-time compiler of CUDA C++.
type compiler struct {
	lib     *C.px_nvrtc
	version string // "12.9"
	path    string
}

// loadCompiler finds NVRTC once for the process.
var loadCompiler = sync.OnceValues(func() (*compiler, error) {
	lib, path, err := findLibrary("nvrtc", "nvidia-cuda-nvrtc")
	if err != nil {
		return nil, err
	}
	var missing *C.char
	n := C.px_nvrtc_bind(lib, &missing)
	if n == nil {
		return nil, fmt.Errorf("%s has no %s: CUDA 11.1 or newer is needed", path, C.GoString(missing))
	}
	var major, minor C.int
	if code := C.px_nvrtc_version(n, &major, &minor); code != 0 {
		return nil, fmt.Errorf("%s: %s", path, C.GoString(C.px_nvrtc_error(n, code)))
	}
	return &compiler{lib: n, version: fmt.Sprintf("%d.%d", major, minor), path: path}, nil
})

// compile turns a program into machine code. The log holds the compiler's remarks,
// and with the option --ptxas-options=-v each kernel's registers and spills.
func (c *compiler) compile(source, name string, options []string) (image []byte, log string, err error) {
	csource, cname := C.CString(source), C.CString(name)
	defer C.free(unsafe.Pointer(csource))
	defer C.free(unsafe.Pointer(cname))
	list := C.calloc(C.size_t(len(options)+1), C.size_t(unsafe.Sizeof(csource))) // zeroed: see launchMaps
	defer C.free(list)
	opts := unsafe.Slice((**C.char)(list), len(options)+1)
	for i, o := range options {
		opts[i] = C.CString(o)
		defer C.free(unsafe.Pointer(opts[i]))
	}
	var cimage, clog *C.char
	var size C.size_t
	code := C.px_nvrtc_compile(c.lib, csource, cname, C.int(len(options)), (**C.char)(list), &cimage, &size, &clog)
	defer C.free(unsafe.Pointer(cimage))
	defer C.free(unsafe.Pointer(clog))
	if clog != nil {
		log = strings.TrimSpace(C.GoString(clog))
	}
	if code != 0 {
		return nil, log, fmt.Errorf("compile kernel %s with NVRTC %s (%s): %s\n%s",
			name, c.version, strings.Join(options, " "), C.GoString(C.px_nvrtc_error(c.lib, code)), log)
	}
	if cimage == nil {
		return nil, log, fmt.Errorf("compile kernel %s: NVRTC %s returned no machine code for %s", name, c.version, strings.Join(options, " "))
	}
	return C.GoBytes(unsafe.Pointer(cimage), C.int(size)), log, nil
}

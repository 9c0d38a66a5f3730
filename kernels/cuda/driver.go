//go:build cuda

package cuda

// #cgo LDFLAGS: -ldl -lpthread
// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	"gorgonia.org/cu"
)

// driverError says why there is no working driver, or returns nil.
func driverError() error {
	if why := C.GoString(C.px_driver_problem()); why != "" {
		return errors.New(why)
	}
	return nil
}

// result turns a driver's result code into an error.
func result(code C.CUresult) error {
	if code == C.CUDA_SUCCESS {
		return nil
	}
	var text *C.char
	if C.cuGetErrorString(code, &text) != C.CUDA_SUCCESS || text == nil {
		return fmt.Errorf("CUDA error %d", int(code))
	}
	return fmt.Errorf("CUDA error %d: %s", int(code), C.GoString(text))
}

// handle is the C handle inside one of cu's one-field types, which cu does not
// export.
func functionHandle(fn cu.Function) C.CUfunction { return *(*C.CUfunction)(unsafe.Pointer(&fn)) }
func streamHandle(s cu.Stream) C.CUstream        { return *(*C.CUstream)(unsafe.Pointer(&s)) }

// allowShared lets a kernel use up to bytes of dynamic shared memory.
func allowShared(fn cu.Function, bytes int) error {
	return result(C.cuFuncSetAttribute(functionHandle(fn), C.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, C.int(bytes)))
}

// pinHost page-locks ordinary memory, so that copies run at full speed.
func pinHost(p unsafe.Pointer, bytes int) error {
	return result(C.cuMemHostRegister(p, C.size_t(bytes), 0))
}

func unpinHost(p uintptr) error { return result(C.px_unpin(C.uintptr_t(p))) }

// openLibrary opens a shared library.
func openLibrary(path string) (unsafe.Pointer, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	var why *C.char
	lib := C.px_dlopen(name, &why)
	if lib == nil {
		return nil, errors.New(C.GoString(why))
	}
	return lib, nil
}

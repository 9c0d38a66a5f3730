//go:build cuda

package cuda

// #include "shim.h"
import "C"

import (
	"fmt"
	"regexp"
	"strings"
	"unsafe"

	"gorgonia.org/cu"
	"parallax/kernels"
)

func init() { kernels.RegisterToolkit("cuda", toolkit{}) }

// toolkit is the driver and NVIDIA's libraries on this host: kernels.Toolkit.
type toolkit struct{}

// Examine looks at the driver and each library, and whether the GPUs reach each
// other.
func (toolkit) Examine() []kernels.Part {
	return []kernels.Part{
		part("CUDA driver", examineDriver, "install NVIDIA's driver, or name its libcuda.so.1 in PARALLAX_LIBCUDA"),
		part("NVRTC", examineCompiler, "install the wheel nvidia-cuda-nvrtc or the CUDA toolkit, or name its folder in PARALLAX_CUDA_LIBS"),
		part("cuBLASLt", examineBlas, "install the wheel nvidia-cublas or the CUDA toolkit, or name its folder in PARALLAX_CUDA_LIBS"),
		part("NCCL", examineNCCL, ""),
		part("peer access", examinePeers, ""),
	}
}

func part(name string, examine func() (string, error), next string) kernels.Part {
	detail, err := examine()
	return kernels.Part{Name: name, Detail: detail, Err: err, Next: next}
}

func examineDriver() (string, error) {
	if err := driverError(); err != nil {
		return "", err
	}
	count, err := cu.NumDevices()
	if err != nil {
		return "", fmt.Errorf("count the GPUs: %w", err)
	}
	return fmt.Sprintf("for CUDA %s, %s, knows %d GPUs", driverVersion(), C.GoString(C.px_driver_place()), count), nil
}

// driverVersion is the newest CUDA that the driver serves.
func driverVersion() string {
	v := cu.Version()
	return fmt.Sprintf("%d.%d", v/1000, v/10%100)
}

func examineCompiler() (string, error) {
	c, err := loadCompiler()
	if err != nil {
		return "", err
	}
	return c.version + ", " + c.path, nil
}

func examineBlas() (string, error) {
	lib, path, err := bindBlas()
	if err != nil {
		return "", err
	}
	defer C.free(unsafe.Pointer(lib))
	return blasVersion(lib) + ", " + path, nil
}

// examineNCCL looks for what only several GPUs need.
func examineNCCL() (string, error) {
	n, err := loadNCCL()
	if err != nil {
		return "", fmt.Errorf("%w; without it gradients go through the hosts", err)
	}
	return n.version + ", " + n.path, nil
}

// examinePeers says which GPUs read each other's memory without the host's help.
func examinePeers() (string, error) {
	if err := driverError(); err != nil {
		return "", err
	}
	count, err := cu.NumDevices()
	if err != nil {
		return "", err
	}
	if count < 2 {
		return "one GPU, so no peers", nil
	}
	var rows []string
	for i := range count {
		var reach []string
		for j := range count {
			if can, err := peers(i, j); err != nil {
				return "", err
			} else if can {
				reach = append(reach, fmt.Sprint(j))
			}
		}
		if len(reach) == 0 {
			reach = []string{"none"}
		}
		rows = append(rows, fmt.Sprintf("%d reaches %s", i, strings.Join(reach, " ")))
	}
	return strings.Join(rows, ", "), nil
}

func peers(i, j int) (bool, error) {
	if i == j {
		return false, nil
	}
	var can C.int
	err := result(C.cuDeviceCanAccessPeer(&can, C.CUdevice(i), C.CUdevice(j)))
	return can != 0, err
}

var archName = regexp.MustCompile(`^sm_\d{2,3}a?$`)

// Prebuild compiles kernels; it needs NVRTC and, where arch names one, no GPU.
func (toolkit) Prebuild(arch string, headDims []int) (string, int, error) {
	if arch == "" {
		b, err := deviceOnly(0)
		if err != nil {
			return "", 0, fmt.Errorf("which architecture? %w", err)
		}
		arch = b.arch
	}
	if !archName.MatchString(arch) {
		return "", 0, fmt.Errorf("architecture %q: want one as sm_80 for an A100 or sm_90a for an H100 or H200", arch)
	}
	return arch, len(programsFor(arch, headDims...)), Prebuild(arch, headDims...)
}

// deviceOnly is what is known of a GPU without opening it.
func deviceOnly(index int) (*Backend, error) {
	device, err := findDevice(index)
	if err != nil {
		return nil, err
	}
	b := &Backend{device: device}
	return b, b.describe(index)
}

//go:build cuda

package cuda

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"unsafe"
)

// versionsOf are the versions of a library that are looked for, the newest first:
// CUDA's major ones, but for NCCL's own.
func versionsOf(name string) []string {
	if name == "nccl" {
		return []string{"2"}
	}
	return []string{"13", "12", "11"}
}

// findLibrary opens the newest library of a name ("nvrtc", "cublasLt") that the
// host has. The error says where it looked and what would provide it.
func findLibrary(name, wheel string) (lib unsafe.Pointer, path string, err error) {
	var looked, failed []string
	for _, dir := range libraryDirs() {
		if dir != "" {
			looked = append(looked, dir)
		}
		for _, path := range candidates(dir, name) {
			preloadCompanions(path, name)
			lib, err := openLibrary(path)
			if err == nil {
				return lib, path, nil
			}
			if dir != "" { // the file is there and does not load: worth telling
				failed = append(failed, err.Error())
			}
		}
	}
	msg := fmt.Sprintf("no lib%s.so of version %s found with the system's loader", name, strings.Join(versionsOf(name), ", "))
	if len(looked) > 0 {
		msg += ", nor in " + strings.Join(looked, ", ")
	}
	if len(failed) > 0 {
		msg += " (" + strings.Join(failed, "; ") + ")"
	}
	return nil, "", fmt.Errorf("%s; install the CUDA toolkit or the Python wheel %s, or set PARALLAX_CUDA_LIBS to its folder", msg, wheel)
}

// candidates are the files to try in one folder; with no folder, the names to ask
// the system's loader for.
func candidates(dir, name string) []string {
	var out []string
	for _, v := range versionsOf(name) {
		file := "lib" + name + ".so." + v
		if dir == "" {
			out = append(out, file)
			continue
		}
		found, _ := filepath.Glob(filepath.Join(dir, file+"*"))
		slices.Sort(found)
		if len(found) > 0 {
			out = append(out, found[0]) // libX.so.12 before libX.so.12.4.127
		}
	}
	return out
}

// preloadCompanions opens the library that NVRTC looks for by itself, by its full
// path: NVRTC would only ask the system's loader, which does not know a wheel's
// folder.
func preloadCompanions(path, name string) {
	if name != "nvrtc" || !filepath.IsAbs(path) {
		return
	}
	found, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "libnvrtc-builtins.so.*"))
	for _, f := range found {
		openLibrary(f) // where it fails, NVRTC's own message is the better one
	}
}

// libraryDirs are the folders to look in, in order; "" stands for the loader's own
// search. Folders that do not exist are left out.
func libraryDirs() []string {
	var patterns []string
	if dir := os.Getenv("PARALLAX_CUDA_LIBS"); dir != "" {
		patterns = append(patterns, dir)
	}
	for _, root := range []string{os.Getenv("CUDA_HOME"), os.Getenv("CUDA_PATH"), "/usr/local/cuda", "/usr/local/cuda-*", "/opt/cuda"} {
		if root != "" {
			patterns = append(patterns, filepath.Join(root, "lib64"), filepath.Join(root, "targets/*/lib"))
		}
	}
	for _, root := range pythonRoots() {
		for _, site := range []string{"site-packages", "dist-packages"} {
			patterns = append(patterns, filepath.Join(root, "lib/python3*", site, "nvidia/*/lib"))
		}
	}
	dirs := []string{""}
	for _, p := range patterns {
		found, _ := filepath.Glob(p)
		for _, dir := range found {
			if !slices.Contains(dirs, dir) {
				dirs = append(dirs, dir)
			}
		}
	}
	if os.Getenv("PARALLAX_CUDA_LIBS") != "" && len(dirs) > 1 {
		dirs[0], dirs[1] = dirs[1], dirs[0]
	}
	return dirs
}

// pythonRoots are the installations of Python that may hold NVIDIA's wheels: the
// active virtual environment, the python3 on the PATH, the system's.
func pythonRoots() []string {
	roots := []string{"/usr/local", "/usr"}
	if python, err := exec.LookPath("python3"); err == nil {
		roots = append([]string{filepath.Dir(filepath.Dir(python))}, roots...)
	}
	if env := os.Getenv("VIRTUAL_ENV"); env != "" {
		roots = append([]string{env}, roots...)
	}
	return roots
}

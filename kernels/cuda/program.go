//go:build cuda

package cuda

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

//go:embed kernel/*.cu kernel/*.cuh
var kernelFiles embed.FS

// program is one kernel specialised: kernel/<name>.cu, whose entry point has the
// same name, with macros set. defines is "DIM=128 PROBE=1".
type program struct {
	name    string
	defines string
}

func (p program) String() string { return strings.TrimSpace(p.name + " " + p.defines) }

var includeLine = regexp.MustCompile(`(?m)^#include "(.+)"$`)

// source is the program's text, its includes put in.
func (p program) source() (string, error) {
	text, err := expand(p.name + ".cu")
	if err != nil {
		return "", err
	}
	common, err := expand("common.cuh")
	return common + "#line 1\n" + text, err
}

func expand(file string) (string, error) {
	raw, err := kernelFiles.ReadFile("kernel/" + file)
	if err != nil {
		return "", err
	}
	var failed error
	text := includeLine.ReplaceAllStringFunc(string(raw), func(line string) string {
		inner, err := expand(includeLine.FindStringSubmatch(line)[1])
		if err != nil {
			failed = err
		}
		return inner
	})
	return text, failed
}

// options are the compiler's, for an architecture such as "sm_90a".
func (p program) options(arch string) []string {
	opts := []string{"--gpu-architecture=" + arch, "--std=c++17", "--ptxas-options=-v"}
	for _, d := range strings.Fields(p.defines) {
		opts = append(opts, "-D"+d)
	}
	return opts
}

// build returns the program's machine code for an architecture: from the cache
// where it is there, else from the compiler.
func (p program) build(arch string) ([]byte, error) {
	source, err := p.source()
	if err != nil {
		return nil, err
	}
	c, err := loadCompiler()
	if err != nil {
		return nil, err
	}
	file := p.cacheFile(source, arch, c.version)
	if image, err := os.ReadFile(file); err == nil && len(image) > 0 {
		return image, nil
	}
	image, _, err := c.compile(source, p.name+".cu", p.options(arch))
	if err != nil {
		return nil, err
	}
	store(file, image)
	return image, nil
}

// cacheFile is where the machine code is kept, named by a hash of all that it
// depends on; "" where there is no folder for it.
func (p program) cacheFile(source, arch, version string) string {
	dir := os.Getenv("PARALLAX_KERNEL_CACHE")
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(base, "parallax", "kernels")
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%s", version, strings.Join(p.options(arch), "\n"), source)
	return filepath.Join(dir, p.name+"-"+arch+"-"+hex.EncodeToString(h.Sum(nil))[:24]+".cubin")
}

// store keeps machine code, whole or not at all. A failure costs the next process a
// compilation and nothing else, so it is not reported.
func store(file string, image []byte) {
	if file == "" || os.MkdirAll(filepath.Dir(file), 0o755) != nil {
		return
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return
	}
	_, err = tmp.Write(image)
	if errors.Join(err, tmp.Close()) != nil || os.Rename(tmp.Name(), file) != nil {
		os.Remove(tmp.Name())
	}
}

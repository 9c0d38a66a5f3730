//go:build cuda

package cuda

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"parallax/kernels"
)

// needCompiler skips a test where NVRTC is not installed.
func needCompiler(t *testing.T) *compiler {
	t.Helper()
	c, err := loadCompiler()
	if err != nil {
		t.Skipf("needs NVRTC: %v", err)
	}
	return c
}

var spillReport = regexp.MustCompile(`(\d+) bytes spill stores`)

// spillLimit is what a kernel may keep in memory for want of registers: two words.
const spillLimit = 8

// TestKernelsCompile compiles every kernel for an A100 and for a Hopper GPU, and
// wants none to spill registers.
func TestKernelsCompile(t *testing.T) {
	c := needCompiler(t)
	for _, arch := range []string{"sm_80", "sm_90a"} {
		all := programsFor(arch, 64, 128)
		if testing.Short() {
			all = basicPrograms()
		}
		if err := onAllCores(all, func(p program) error { return compileClean(c, p, arch) }); err != nil {
			t.Error(err)
		}
	}
}

func compileClean(c *compiler, p program, arch string) error {
	source, err := p.source()
	if err != nil {
		return err
	}
	_, log, err := c.compile(source, p.name+".cu", p.options(arch))
	if err != nil {
		return err
	}
	report := spillReport.FindStringSubmatch(log)
	if report == nil {
		return fmt.Errorf("%v for %s: the compiler reports no registers:\n%s", p, arch, log)
	}
	if n, _ := strconv.Atoi(report[1]); n > spillLimit {
		return fmt.Errorf("%v for %s spills %d bytes of registers:\n%s", p, arch, n, log)
	}
	if strings.Contains(log, "serialized") {
		return fmt.Errorf("%v for %s: the compiler serialises its matrix products:\n%s", p, arch, log)
	}
	return nil
}

// TestEveryKernelIsListed keeps basicPrograms and headPrograms complete.
func TestEveryKernelIsListed(t *testing.T) {
	listed := map[string]bool{}
	for _, p := range programsFor("sm_90a", 64) {
		listed[p.name] = true
	}
	files, err := kernelFiles.ReadDir("kernel")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if name, isKernel := strings.CutSuffix(f.Name(), ".cu"); isKernel && !listed[name] {
			t.Errorf("kernel/%s is in no list of prebuild.go", f.Name())
		}
	}
}

// TestOddHeadSizesCompile compiles attention at sizes that need padding or two
// slices of the output.
func TestOddHeadSizesCompile(t *testing.T) {
	needCompiler(t)
	t.Setenv("PARALLAX_KERNEL_CACHE", t.TempDir())
	var all []program
	for _, dim := range []int{1, 33, 80, 136, 256} {
		plan := planAttention(kernels.AttentionShape{HeadDim: dim, Window: 5}, true, false)
		p, _ := plan.forward()
		q, _ := plan.backwardQ()
		k, _ := plan.backwardK()
		all = append(all, p, q, k)
	}
	if err := buildAll("sm_80", all); err != nil {
		t.Error(err)
	}
}

// TestCache compiles once and finds the result on disk the second time.
func TestCache(t *testing.T) {
	needCompiler(t)
	dir := t.TempDir()
	t.Setenv("PARALLAX_KERNEL_CACHE", dir)
	p := program{name: "clip_scale"}
	image, err := p.build("sm_80")
	if err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "clip_scale-sm_80-*.cubin"))
	if len(files) != 1 {
		t.Fatalf("files in the cache: %v, want one", files)
	}
	if err := os.WriteFile(files[0], []byte("from the cache"), 0o644); err != nil {
		t.Fatal(err)
	}
	if again, err := p.build("sm_80"); err != nil || string(again) != "from the cache" || len(image) < 1000 {
		t.Errorf("second build: %d bytes, error %v; want what is in the cache", len(again), err)
	}
}

// TestCompileError wants the compiler's own message.
func TestCompileError(t *testing.T) {
	c := needCompiler(t)
	_, _, err := c.compile("KERNEL void broken() { nonsense }", "broken.cu", program{name: "broken"}.options("sm_80"))
	if err == nil || !strings.Contains(err.Error(), "broken.cu(1)") {
		t.Errorf("error %v, want one that names broken.cu, line 1", err)
	}
}

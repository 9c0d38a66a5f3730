//go:build cuda

package cuda

import (
	"os"
	"path/filepath"
	"regexp"
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

// TestKernelsCompile compiles every kernel for an A100 and for a Hopper GPU, and
// wants none to keep registers in memory.
func TestKernelsCompile(t *testing.T) {
	c := needCompiler(t)
	all := append(basicPrograms(), headPrograms([]int{64, 128})...)
	if testing.Short() {
		all = basicPrograms()
	}
	for _, arch := range []string{"sm_80", "sm_90a"} {
		for _, p := range all {
			source, err := p.source()
			if err != nil {
				t.Fatal(err)
			}
			_, log, err := c.compile(source, p.name+".cu", p.options(arch))
			if err != nil {
				t.Error(err)
				continue
			}
			report := spillReport.FindStringSubmatch(log)
			if report == nil {
				t.Errorf("%v for %s: the compiler reports no registers:\n%s", p, arch, log)
			} else if report[1] != "0" {
				t.Errorf("%v for %s spills registers:\n%s", p, arch, log)
			}
		}
	}
}

// TestEveryKernelIsListed keeps basicPrograms and headPrograms complete.
func TestEveryKernelIsListed(t *testing.T) {
	listed := map[string]bool{}
	for _, p := range append(basicPrograms(), headPrograms([]int{64})...) {
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

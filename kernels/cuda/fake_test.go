//go:build cuda

package cuda

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"gorgonia.org/cu"
	"parallax/kernels"
)

// fakeDir is set in the process that runs on the fake libraries.
const fakeDir = "PARALLAX_TEST_FAKE"

// TestFakeDriver runs the tests named TestOnFake in a process whose driver, NVRTC,
// cuBLASLt and NCCL are testdata/fake.c: the driver is found before main, so this
// process cannot change it.
func TestFakeDriver(t *testing.T) {
	compiler, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("needs a C compiler for the fake driver")
	}
	dir := t.TempDir()
	library := filepath.Join(dir, "libcuda.so.1")
	if out, err := exec.Command(compiler, "-shared", "-fPIC", "-O1", "-w", "-o", library, "testdata/fake.c").CombinedOutput(); err != nil {
		t.Fatalf("compile the fake driver: %v\n%s", err, out)
	}
	for _, name := range []string{"libnvrtc.so.12", "libcublasLt.so.12", "libnccl.so.2"} {
		if err := os.Link(library, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	self := exec.Command(os.Args[0], "-test.run=^TestOnFake", "-test.v")
	self.Env = append(os.Environ(), fakeDir+"="+dir, "PARALLAX_LIBCUDA="+library, "PARALLAX_CUDA_LIBS="+dir, "PARALLAX_KERNEL_CACHE="+t.TempDir())
	out, err := self.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestOnFake")) {
		t.Errorf("on the fake driver: %v\n%s", err, out)
	}
}

// onFake opens a backend on the fake driver, and skips the test without it.
func onFake(t *testing.T) *Backend {
	t.Helper()
	if os.Getenv(fakeDir) == "" {
		t.Skip("run by TestFakeDriver")
	}
	b, err := open(0)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// books reads the fake driver's: how many host ranges, blocks and events exist.
func books(t *testing.T) (ranges, blocks, events int) {
	t.Helper()
	v, err := cu.Device(0).Attributes(cu.PciBusID, cu.PciDeviceID, cu.PciDomainID)
	if err != nil {
		t.Fatal(err)
	}
	return v[0], v[1], v[2]
}

func TestOnFakeInfo(t *testing.T) {
	b := onFake(t)
	defer b.Close()
	const want = "Fake, sm_80, 4 multiprocessors, 1.0 GiB; driver for CUDA 12.9, NVRTC 12.9, cuBLASLt 12.9"
	if info := b.Info(); info.Device != "cuda:0" || info.Summary != want {
		t.Errorf("info %+v, want %s", info, want)
	}
}

func TestOnFakeCopies(t *testing.T) {
	b := onFake(t)
	for _, n := range []int{1, 1000, pinFrom, 3 * pinFrom} {
		buf, err := b.Alloc(kernels.I32, n)
		if err != nil {
			t.Fatal(err)
		}
		pinned, plain := b.HostAlloc(4*n), make([]byte, 4*n)
		for i := range pinned {
			pinned[i] = byte(i * 7)
		}
		if err := b.CopyOut(plain, buf).Wait(); err != nil || len(bytes.Trim(plain, "\x00")) != 0 {
			t.Errorf("%d elements are not zero when they are allocated (error %v)", n, err)
		}
		b.CopyIn(buf, pinned)
		other, err := b.Alloc(kernels.I32, n)
		if err != nil {
			t.Fatal(err)
		}
		b.Copy(other, buf)
		if err := b.CopyOut(plain, other).Wait(); err != nil || !bytes.Equal(plain, pinned) {
			t.Errorf("%d elements came back changed (error %v)", n, err)
		}
		buf.Free()
		other.Free()
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if ranges, blocks, events := books(t); ranges != 0 || blocks != 0 || events != 0 {
		t.Errorf("after Close: %d host ranges locked, %d blocks and %d events left", ranges, blocks, events)
	}
}

// TestOnFakeMemory reuses blocks, and gives what it kept back when memory is short.
func TestOnFakeMemory(t *testing.T) {
	b := onFake(t)
	defer b.Close()
	alloc := func(mib int) kernels.Buffer {
		t.Helper()
		buf, err := b.Alloc(kernels.F32, mib<<18)
		if err != nil {
			t.Fatal(err)
		}
		return buf
	}
	first := alloc(100)
	_, before, _ := books(t)
	first.Free()
	first = alloc(100)
	if _, after, _ := books(t); after != before {
		t.Errorf("a block that was freed was not used again: %d blocks, then %d", before, after)
	}
	first.Free()
	big := alloc(900) // only if the 100 MiB are given back
	if _, err := b.Alloc(kernels.F32, 900<<18); err == nil || !strings.Contains(err.Error(), "900.0 MiB") || !strings.Contains(err.Error(), "free of 1.0 GiB") {
		t.Errorf("an allocation that cannot fit: error %v; want the sizes asked for and free", err)
	}
	big.Free()
	if err := b.Sync(); err != nil {
		t.Errorf("after a failed allocation: %v", err)
	}
}

// TestOnFakeFailure wants the first failure from every wait after it.
func TestOnFakeFailure(t *testing.T) {
	b := onFake(t)
	x, err := b.Alloc(kernels.F32, 1)
	if err != nil {
		t.Fatal(err)
	}
	b.ClipScale(x, x, 1) // the fake driver fails it
	for range 2 {
		if err := b.Sync(); err == nil || !strings.Contains(err.Error(), "clip scale") {
			t.Errorf("error %v, want one that names clip scale", err)
		}
	}
	if err := b.Close(); err == nil {
		t.Error("Close did not report the failure")
	}
}

// TestOnFakeHostMemory lets the garbage collector take locked memory back while
// copies run.
func TestOnFakeHostMemory(t *testing.T) {
	b := onFake(t)
	buf, err := b.Alloc(kernels.I32, pinFrom)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		host := b.HostAlloc(4 * pinFrom)
		host[i] = 1
		b.CopyIn(buf, host)
		if i%20 == 0 {
			runtime.GC()
		}
	}
	if err := b.Sync(); err != nil {
		t.Fatal(err)
	}
	for range 20 { // finalizers run after a collection, and unlock in the queue
		runtime.GC()
		if err := b.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	if ranges, _, _ := books(t); ranges > 50 {
		t.Errorf("%d of 200 host ranges are still locked", ranges)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// TestOnFakeToolkit wants every part found, with version and place, and peers.
func TestOnFakeToolkit(t *testing.T) {
	onFake(t).Close()
	parts := toolkit{}.Examine()
	for i, want := range []string{"for CUDA 12.9, " + os.Getenv("PARALLAX_LIBCUDA") + ", knows 2 GPUs", "12.9, " + os.Getenv(fakeDir), "12.9, " + os.Getenv(fakeDir), "2.28.9, " + os.Getenv(fakeDir), "0 reaches 1, 1 reaches 0"} {
		if p := parts[i]; p.Err != nil || !strings.HasPrefix(p.Detail, want) {
			t.Errorf("%s: %q (error %v), want %q", p.Name, p.Detail, p.Err, want)
		}
	}
}

// TestOnFakePrebuild compiles for the device at hand where no architecture is named,
// and refuses what is none.
func TestOnFakePrebuild(t *testing.T) {
	onFake(t).Close()
	t.Setenv("PARALLAX_KERNEL_CACHE", t.TempDir())
	arch, n, err := toolkit{}.Prebuild("", []int{64})
	files, _ := filepath.Glob(filepath.Join(os.Getenv("PARALLAX_KERNEL_CACHE"), "*-sm_80-*.cubin"))
	if err != nil || arch != "sm_80" || n != len(files) || n < 50 {
		t.Errorf("%d kernels for %s, %d files, error %v", n, arch, len(files), err)
	}
	if _, _, err := (toolkit{}).Prebuild("hopper", []int{64}); err == nil || !strings.Contains(err.Error(), "sm_90a") {
		t.Errorf("error %v, want one that shows how architectures are written", err)
	}
}

// TestOnFakeMemoryOfDevice wants the driver's figures.
func TestOnFakeMemoryOfDevice(t *testing.T) {
	b := onFake(t)
	defer b.Close()
	before, _, err := b.Memory()
	if err != nil {
		t.Fatal(err)
	}
	buf, err := b.Alloc(kernels.F32, 10<<18)
	if err != nil {
		t.Fatal(err)
	}
	defer buf.Free()
	if free, total, err := b.Memory(); err != nil || total != 1<<30 || free != before-10<<20 {
		t.Errorf("%d of %d bytes free, error %v; want %d", free, total, err, before-10<<20)
	}
	if got := b.Overhead(16384, 1024, 151936); got < contextBytes+1<<30 || got > contextBytes+2<<30 {
		t.Errorf("overhead of %d bytes: want the context and 1.5 GiB of logits", got)
	}
}

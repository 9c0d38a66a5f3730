//go:build unix

package checkpoint

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
)

// smallFiles marks the process in which no file may be larger than 4 KiB.
const smallFiles = "CHECKPOINT_TEST_SMALL_FILES"

// TestFullDisk lets the kernel refuse to make a file larger than 4 KiB, which a
// program meets as it meets a full disk: a write in mid-file fails. The limit
// holds for a whole process, so it is one of its own.
func TestFullDisk(t *testing.T) {
	root := os.Getenv(smallFiles)
	if root != "" {
		saveTooLarge(t, root)
		return
	}
	root = t.TempDir()
	old := snapshot(10)
	mustSave(t, root, old, 1)
	cmd := exec.Command(os.Args[0], "-test.run=^TestFullDisk$")
	cmd.Env = append(os.Environ(), smallFiles+"="+root)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	assertOnlyOld(t, root, old)
}

func saveTooLarge(t *testing.T, root string) {
	signal.Ignore(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit))
	limit.Cur = 4096
	must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))

	large := snapshot(20)
	large.Optimizer = append(large.Optimizer, Tensor{"adam_v", []int{4096}, make([]float32, 4096)})
	if _, err := Save(root, large, 1); !errors.Is(err, syscall.EFBIG) || !strings.Contains(err.Error(), optimizerFile) {
		t.Errorf("got %v, want EFBIG of %s", err, optimizerFile)
	}
}

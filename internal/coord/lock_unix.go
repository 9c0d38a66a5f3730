//go:build unix

package coord

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const lockName = "coordinator.lock"

// Abandoned reports whether a coordinator has had the run in a folder, as far as this
// host sees it, and none has it any more.
func Abandoned(dir string) bool {
	file, err := os.Open(filepath.Join(dir, lockName))
	if err != nil {
		return false
	}
	defer file.Close()
	return syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil
}

// lockRun makes this process the only coordinator of the run in a folder, until
// the file is closed or the process ends, however it does.
func lockRun(dir string) (*os.File, error) {
	path := filepath.Join(dir, lockName)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	switch err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		holder := make([]byte, 32)
		n, _ := file.ReadAt(holder, 0)
		file.Close()
		return nil, fmt.Errorf("another coordinator has the run in %s (process %s): wait for its end, or choose another --run-dir", dir, strings.TrimSpace(string(holder[:n])))
	case err != nil:
		file.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	if err := file.Truncate(0); err == nil {
		_, err = file.WriteAt(fmt.Appendln(nil, os.Getpid()), 0)
		if err != nil {
			file.Close()
			return nil, err
		}
	}
	return file, nil
}

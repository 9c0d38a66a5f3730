package corpus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"
)

// lockPoll is how often a waiting process looks whether the lock is free; flock
// has no wait that could be interrupted.
const lockPoll = 50 * time.Millisecond

// fileLock is an advisory lock between processes. The kernel frees it when its
// holder dies, however that happens.
type fileLock struct{ file *os.File }

// acquire locks path, calling waiting once with the holder's name if it is taken.
func acquire(ctx context.Context, path string, waiting func(holder string)) (*fileLock, error) {
	told := false
	ticker := time.NewTicker(lockPoll)
	defer ticker.Stop()
	for {
		lock, holder, err := tryAcquire(path)
		if lock != nil || err != nil {
			return lock, err
		}
		if !told {
			told = true
			waiting(holder)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for %s to release %s was interrupted: %w", holder, path, ctx.Err())
		case <-ticker.C:
		}
	}
}

// tryAcquire returns the lock, or who holds it.
func tryAcquire(path string) (*fileLock, string, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, "", fmt.Errorf("the lock of the cache folder cannot be made: %w; choose another folder with --cache", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		defer file.Close()
		return nil, holderOf(file), nil
	}
	if err != nil {
		file.Close()
		return nil, "", fmt.Errorf("the cache folder's %s cannot be locked: %w; choose a folder on a local disk with --cache", path, err)
	}
	if !stillAt(file, path) { // its former holder removed it after we opened it
		file.Close()
		return tryAcquire(path)
	}
	if err := file.Truncate(0); err == nil {
		fmt.Fprintf(file, "process %d", os.Getpid())
	}
	return &fileLock{file: file}, "", nil
}

func stillAt(file *os.File, path string) bool {
	held, err1 := file.Stat()
	there, err2 := os.Stat(path)
	return err1 == nil && err2 == nil && os.SameFile(held, there)
}

// holderOf reads the name that the holder wrote.
func holderOf(file *os.File) string {
	name, _ := io.ReadAll(io.LimitReader(file, 64))
	if text := strings.TrimSpace(string(name)); text != "" {
		return text
	}
	return "another process"
}

// release removes the lock's file and frees the lock, in this order: nobody else
// can hold it in between.
func (l *fileLock) release() {
	os.Remove(l.file.Name())
	l.file.Close()
}

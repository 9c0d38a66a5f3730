//go:build !unix

package corpus

import "context"

// fileLock is nothing where the system has no flock: processes may then do the
// same work at the same time, and the last to rename its file into place wins.
type fileLock struct{}

func acquire(context.Context, string, func(holder string)) (*fileLock, error) {
	return &fileLock{}, nil
}

func (*fileLock) release() {}

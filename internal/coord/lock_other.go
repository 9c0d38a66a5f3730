//go:build !unix

package coord

import "os"

// lockRun does nothing where files cannot be locked: that there is one coordinator
// is the user's care there.
func lockRun(string) (*os.File, error) { return nil, nil }

// Abandoned cannot tell where files cannot be locked.
func Abandoned(string) bool { return false }

// Package doctor examines what a node depends on, one finding at a time: the
// device and its speed (device.go), the cache, and the links from this host to
// the coordinator and to every member of the ring (links.go). A finding that is
// not well says what to do next. The command is internal/cli/doctor.go.
package doctor

import (
	"fmt"
	"os"
	"path/filepath"
)

// Finding is one thing that was looked at.
type Finding struct {
	What   string // "device cpu", "link to node-3"
	Well   bool
	Detail string // what was seen or measured
	Next   string // what to do where it is not well
}

func well(what, format string, args ...any) Finding {
	return Finding{What: what, Well: true, Detail: fmt.Sprintf(format, args...)}
}

func ill(what string, err error, next string) Finding {
	return Finding{What: what, Detail: err.Error(), Next: next}
}

// Cache says whether token files can be written to a folder.
func Cache(dir string) Finding {
	what := "cache " + dir
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return ill(what, err, "choose another folder with --cache")
	}
	probe := filepath.Join(dir, fmt.Sprintf(".doctor-%d", os.Getpid()))
	if err := os.WriteFile(probe, nil, 0o600); err != nil {
		return ill(what, err, "choose another folder with --cache")
	}
	if err := os.Remove(probe); err != nil {
		return ill(what, err, "choose another folder with --cache")
	}
	return well(what, "can be written")
}

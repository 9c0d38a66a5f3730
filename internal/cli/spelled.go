package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// spelled is how who has started this program can start it again from here.
func spelled() string {
	_, err := exec.LookPath("parallax")
	info, missing := os.Stat(filepath.Join("cmd", "parallax"))
	return spelling(os.Args[0], err == nil, missing == nil && info.IsDir())
}

// spelling goes by how the program was started, whether parallax is on the PATH, and
// whether this folder has its source.
func spelling(started string, onPath, source bool) string {
	switch {
	case onPath || filepath.Base(started) != "parallax":
		return "parallax"
	case strings.Contains(started, "go-build"): // by go run, which removes what it has built
		if source {
			return "go run ./cmd/parallax"
		}
		return "parallax"
	default:
		return started
	}
}

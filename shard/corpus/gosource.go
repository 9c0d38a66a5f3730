package corpus

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// goLimit bounds the default corpus, so that the first run begins after a few
// seconds. The shuffled order makes what is taken a fair sample of the tree.
const goLimit = 32 << 20

// DefaultPath is the source tree of the Go installation: of the go command on
// PATH, or else of the toolchain that built this program, if it is still there.
func DefaultPath() (string, error) {
	return sourceTree(goCommandRoot(), runtime.GOROOT())
}

// sourceTree returns the first source tree found below roots, of which some may
// be empty.
func sourceTree(roots ...string) (string, error) {
	for _, root := range roots {
		src := filepath.Join(root, "src")
		if info, err := os.Stat(src); root != "" && err == nil && info.IsDir() {
			return src, nil
		}
	}
	return "", errors.New("no data was given, and the default, the source tree of the Go installation, was not found: " +
		"pass --data FILE or FOLDER, or put the go command on PATH")
}

// goCommandRoot asks the go command on PATH; "" if there is none. It must not
// switch to another toolchain, which it might download.
func goCommandRoot() string {
	path, err := exec.LookPath("go")
	if err != nil {
		return ""
	}
	command := exec.Command(path, "env", "GOROOT")
	command.Env = append(os.Environ(), "GOTOOLCHAIN=local")
	command.Dir = os.TempDir()
	out, err := command.Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// collectGo lists the default corpus: the *.go files that people wrote, without
// vendored code and test data.
func collectGo(ctx context.Context) (collection, error) {
	src, err := DefaultPath()
	if err != nil {
		return collection{}, err
	}
	c := collection{name: goVersion(src) + " source tree", root: src, limit: goLimit, skipGenerated: true}
	err = c.walk(ctx, func(d fs.DirEntry) bool {
		if d.IsDir() {
			return d.Name() != "testdata" && d.Name() != "vendor"
		}
		return strings.HasSuffix(d.Name(), ".go")
	})
	return c, err
}

// goVersion names the release that a source tree belongs to: "Go 1.26.8".
func goVersion(src string) string {
	data, err := os.ReadFile(filepath.Join(filepath.Dir(src), "VERSION"))
	line, _, _ := strings.Cut(string(data), "\n")
	version, isRelease := strings.CutPrefix(strings.TrimSpace(line), "go")
	if err != nil || !isRelease {
		return "Go"
	}
	return fmt.Sprintf("Go %s", version)
}

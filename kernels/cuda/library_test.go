//go:build cuda

package cuda

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestLibrarySearch wants the folder that a person named first, the newest version
// in it, and an error that says where it looked.
func TestLibrarySearch(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"libnothing.so.11.2", "libnothing.so.12", "libnothing.so.12.4.1"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("no library"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PARALLAX_CUDA_LIBS", dir)
	if dirs := libraryDirs(); dirs[0] != dir || !slices.Contains(dirs, "") {
		t.Errorf("looked for libraries in %q, want %s first, and the loader's own search", dirs, dir)
	}
	want := []string{filepath.Join(dir, "libnothing.so.12"), filepath.Join(dir, "libnothing.so.11.2")}
	if got := candidates(dir, "nothing"); !slices.Equal(got, want) {
		t.Errorf("candidates %q, want %q", got, want)
	}
	_, _, err := findLibrary("nothing", "nvidia-nothing")
	if err == nil || !strings.Contains(err.Error(), want[0]) || !strings.Contains(err.Error(), "nvidia-nothing") {
		t.Errorf("error %v; want one that names the file that does not load and the wheel to install", err)
	}
}

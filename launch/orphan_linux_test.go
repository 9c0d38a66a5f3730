package launch

import (
	"os"
	"os/exec"
	"testing"
)

// TestNothingOutlivesItsParent kills a process that has started a cluster.
func TestNothingOutlivesItsParent(t *testing.T) {
	s := newStage(t)
	parent := exec.Command(os.Args[0], "parent")
	parent.Env = append(os.Environ(), parentVariable+"="+t.TempDir())
	parent.Stdout, parent.Stderr = os.Stdout, os.Stderr
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	s.expect(3)
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := parent.Wait(); err == nil {
		t.Error("the parent ended well, though it was killed")
	}
	for name := range s.actors {
		s.gone(name)
	}
}

//go:build unix

package coord

import "testing"

func TestAbandoned(t *testing.T) {
	dir := t.TempDir()
	if Abandoned(dir) {
		t.Error("a run is abandoned that no coordinator has had")
	}
	lock, err := lockRun(dir)
	if err != nil {
		t.Fatal(err)
	}
	if Abandoned(dir) {
		t.Error("a run is abandoned that a coordinator has")
	}
	lock.Close()
	if !Abandoned(dir) {
		t.Error("a run is not abandoned that its coordinator has left")
	}
}

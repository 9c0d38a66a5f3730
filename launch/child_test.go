package launch

import (
	"strings"
	"syscall"
	"testing"
)

// A node is started in place of one that has died, with the same settings.
func TestNodeInPlaceOfAnother(t *testing.T) {
	s := newStage(t)
	l := Local{Threads: 3, NodeArgs: []string{"--patience", "9s"}}
	c := s.cluster(l)
	if err := c.Kill(1); err != nil {
		t.Fatal(err)
	}
	<-c.NodeEnded(1)
	before := s.actors["node-1"].args
	l.Dir = t.TempDir()
	child, err := l.Node(1, c.Address())
	if err != nil {
		t.Fatal(err)
	}
	s.expect(1)
	if got, want := strings.Join(s.actors["node-1"].args, " "), strings.Join(before, " "); got != want {
		t.Errorf("it was started as %s, the one before as %s", got, want)
	}
	if err := child.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-child.Ended()
	if err := child.Signal(syscall.SIGKILL); err != nil {
		t.Errorf("a signal to one that has ended: %v", err)
	}
	l.Binary = t.TempDir()
	if _, err := l.Node(1, c.Address()); err == nil || !strings.Contains(err.Error(), "starting node-1") {
		t.Errorf("without a program: %v", err)
	}
}

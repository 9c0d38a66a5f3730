package launch

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Child is a node that is started beside those of a [Cluster], for example in place
// of one that has died.
type Child struct {
	process *process
	parent  *parent
}

// Node starts node i of l once more, which joins the cluster of a coordinator. The
// caller must wait until it has Ended.
func (l Local) Node(i int, coordinator string) (*Child, error) {
	if err := l.complete(); err != nil {
		return nil, err
	}
	c, name := &Child{parent: newParent()}, nodeName(i)
	var err error
	c.process, err = c.parent.start(name, filepath.Join(l.Dir, "logs", name+".log"), l.Binary, l.nodeArgs(i, coordinator), append(os.Environ(), l.Env...))
	if err != nil {
		c.parent.release()
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		<-c.process.ended
		c.parent.release()
	}()
	return c, nil
}

// Signal sends a signal to the process. If it has ended that does nothing.
func (c *Child) Signal(sig syscall.Signal) error { return c.process.signal(sig) }

// Ended is closed when the process has ended.
func (c *Child) Ended() <-chan struct{} { return c.process.ended }

// NodeEnded is closed when node i of the cluster has ended.
func (c *Cluster) NodeEnded(i int) <-chan struct{} { return c.processes[i+1].ended }

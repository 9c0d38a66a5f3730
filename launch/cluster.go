package launch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// Cluster is the processes that [Local.Start] has started.
type Cluster struct {
	address   string
	logs      string
	parent    *parent
	restarted func(Exit)               // see Local.Restarted
	again     func() (*process, error) // starts the coordinator again

	mu        sync.Mutex // guards what follows
	processes []*process // the coordinator, then the nodes
	closing   bool       // nothing is started any more

	exits    chan Exit // one per process
	stopOnce sync.Once
	allEnded chan struct{}
}

func newCluster(logs string) *Cluster {
	return &Cluster{logs: logs, parent: newParent(), allEnded: make(chan struct{})}
}

// spawn starts one more process.
func (c *Cluster) spawn(name, binary string, args, env []string) error {
	p, err := c.begin(name, binary, args, env)
	if err != nil {
		return err
	}
	c.processes = append(c.processes, p)
	return nil
}

func (c *Cluster) begin(name, binary string, args, env []string) (*process, error) {
	p, err := c.parent.start(name, filepath.Join(c.logs, name+".log"), binary, args, env)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	return p, nil
}

// allStarted begins to collect exits. No process is added behind it.
func (c *Cluster) allStarted() {
	c.exits = make(chan Exit, len(c.processes))
	var running sync.WaitGroup
	for i, p := range c.processes {
		running.Go(func() {
			<-p.ended
			if i == 0 {
				p = c.supervise(p)
			}
			c.exits <- *p.exit
		})
	}
	go func() {
		running.Wait()
		close(c.exits)
		c.parent.release()
		close(c.allEnded)
	}()
}

// Address is the coordinator's host:port.
func (c *Cluster) Address() string { return c.address }

// Exits delivers how each process ended, in the order in which they did, and is
// closed behind the last. It need not be read.
func (c *Cluster) Exits() <-chan Exit { return c.exits }

// Coordinator stands for the coordinator where a node's number is asked for.
const Coordinator = -1

// Signal sends a signal to node i, or to the Coordinator. To one that has ended it
// does nothing.
func (c *Cluster) Signal(i int, sig syscall.Signal) error {
	if i < Coordinator || i+1 >= len(c.processes) {
		return fmt.Errorf("there is no node %d: the cluster has nodes 0 to %d", i, len(c.processes)-2)
	}
	return c.process(i + 1).signal(sig)
}

func (c *Cluster) process(i int) *process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.processes[i]
}

// close has nothing started any more.
func (c *Cluster) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = true
}

// Kill ends node i, or the Coordinator, at once.
func (c *Cluster) Kill(i int) error { return c.Signal(i, syscall.SIGKILL) }

// Stop asks the coordinator to stop the run after the step under way, with a
// checkpoint, and waits until all processes have ended. Those that are left when
// ctx ends are killed, and Stop returns ctx's error.
func (c *Cluster) Stop(ctx context.Context) error {
	c.close()
	c.stopOnce.Do(func() { _ = c.Signal(Coordinator, syscall.SIGTERM) })
	select {
	case <-c.allEnded:
		return nil
	case <-ctx.Done():
		c.KillAll()
		<-c.allEnded
		return context.Cause(ctx)
	}
}

// KillAll ends everything at once.
func (c *Cluster) KillAll() {
	c.close()
	for i := range c.processes {
		_ = c.process(i).signal(syscall.SIGKILL)
	}
}

// Wait returns how all processes ended, once they have: the coordinator first,
// then the nodes in order.
func (c *Cluster) Wait() []Exit {
	<-c.allEnded
	var all []Exit
	for _, p := range c.processes {
		all = append(all, *p.exit)
	}
	return all
}

// Exit is how a process ended.
type Exit struct {
	Process string // "coordinator", "node-0"
	Code    int    // 128 and the signal's number if a signal ended it
	Log     string // the file
	Tail    string // the last lines of the log
}

// How is "exited with code 2" or "was ended by signal: killed".
func (e *Exit) How() string {
	if e.Code > 128 {
		return "was ended by signal: " + syscall.Signal(e.Code-128).String()
	}
	return fmt.Sprintf("exited with code %d", e.Code)
}

// crashed says that the process did not end by its own decision: a signal ended
// it, or Go did.
func (e *Exit) crashed() bool {
	return e.Code > 128 || e.Code == 2 && strings.Contains(e.Tail, "goroutine ")
}

// Error says so in words, with the end of the process's log.
func (e *Exit) Error() string {
	how := e.How()
	if e.Tail == "" {
		return fmt.Sprintf("%s %s; its log %s is empty", e.Process, how, e.Log)
	}
	return fmt.Sprintf("%s %s; its log %s ends with:\n%s", e.Process, how, e.Log, e.Tail)
}

// tail reads the last lines of a file that were written behind offset.
func tail(path string, offset int64) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return ""
	}
	const most = 4096
	from := max(offset, info.Size()-most)
	data := make([]byte, max(info.Size()-from, 0))
	n, _ := file.ReadAt(data, from)
	return lastLines(string(data[:n]), 10)
}

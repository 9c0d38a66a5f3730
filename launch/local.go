package launch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Local is a simulated cluster: a coordinator and nodes on loopback, as processes
// of one binary.
type Local struct {
	Binary  string // executable with the subcommands coordinator and node; "": the running one
	Nodes   int
	Dir     string   // the run's folder; processes log to Dir/logs
	Spec    string   // file of the run spec
	Devices []string // dealt out to the nodes; none: cpu
	Threads int      // of every node, 0: its own choice
	Resume  bool

	// Restarted is told, before it is started again, how a coordinator ended that
	// has crashed or was killed. nil: it is not started again.
	Restarted func(Exit)

	CoordinatorArgs []string // more flags
	NodeArgs        []string
	Env             []string // NAME=VALUE, besides our own environment
}

// Start starts the processes and returns when all are started and the coordinator
// listens; the nodes may still be loading. If it fails, or ctx ends before, nothing
// is left running. The caller must call [Cluster.Wait].
func (l Local) Start(ctx context.Context) (*Cluster, error) {
	if l.Nodes < 1 {
		return nil, fmt.Errorf("a cluster of %d nodes cannot be started; use 1 or more", l.Nodes)
	}
	if err := l.complete(); err != nil {
		return nil, err
	}
	c := newCluster(filepath.Join(l.Dir, "logs"))
	c.restarted = l.Restarted
	if err := l.start(ctx, c); err != nil {
		c.KillAll()
		c.Wait()
		return nil, err
	}
	return c, nil
}

// complete fills in defaults and makes the folders.
func (l *Local) complete() (err error) {
	if l.Binary == "" {
		if l.Binary, err = os.Executable(); err != nil {
			return fmt.Errorf("finding our own executable: %w", err)
		}
	}
	if len(l.Devices) == 0 {
		l.Devices = []string{"cpu"}
	}
	return os.MkdirAll(filepath.Join(l.Dir, "logs"), 0o755)
}

func (l Local) start(ctx context.Context, c *Cluster) error {
	defer c.allStarted()
	addressFile := filepath.Join(l.Dir, "coordinator.address")
	if err := os.Remove(addressFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	env := append(os.Environ(), l.Env...)
	var err error
	if err = c.spawn("coordinator", l.Binary, l.coordinatorArgs("127.0.0.1:0", addressFile), env); err != nil {
		return err
	}
	if c.address, err = c.awaitAddress(ctx, addressFile); err != nil {
		return err
	}
	c.again = func() (*process, error) {
		return c.begin("coordinator", l.Binary, l.coordinatorArgs(c.address, addressFile), env)
	}
	for i := range l.Nodes {
		if err := c.spawn(nodeName(i), l.Binary, l.nodeArgs(i, c.address), env); err != nil {
			return err
		}
	}
	return nil
}

func (l Local) coordinatorArgs(listen, addressFile string) []string {
	args := []string{"coordinator", "--listen", listen, "--gossip", "127.0.0.1:0",
		"--nodes", strconv.Itoa(l.Nodes), "--spec", l.Spec, "--run-dir", l.Dir, "--address-file", addressFile}
	if l.Resume {
		args = append(args, "--resume")
	}
	return append(args, l.CoordinatorArgs...)
}

func nodeName(i int) string { return fmt.Sprintf("node-%d", i) }

func (l Local) nodeArgs(i int, coordinator string) []string {
	args := []string{"node", "--name", nodeName(i), "--coordinator", coordinator, "--device", l.Devices[i%len(l.Devices)],
		"--listen", "127.0.0.1:0", "--gossip", "127.0.0.1:0"}
	if l.Threads > 0 {
		args = append(args, "--threads", strconv.Itoa(l.Threads))
	}
	return append(args, l.NodeArgs...)
}

// pollInterval is how often the address file is looked for.
const pollInterval = 5 * time.Millisecond

// awaitAddress returns the address that the coordinator writes, unless it ends
// before.
func (c *Cluster) awaitAddress(ctx context.Context, file string) (string, error) {
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for {
		if data, err := os.ReadFile(file); err == nil {
			return strings.TrimSpace(string(data)), nil
		}
		select {
		case <-poll.C:
		case <-c.processes[0].ended:
			return "", c.processes[0].exit
		case <-ctx.Done():
			return "", fmt.Errorf("waiting for the coordinator to listen: %w", context.Cause(ctx))
		}
	}
}

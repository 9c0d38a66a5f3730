package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// adoptOrphans makes this process the parent of those whose own has died.
func adoptOrphans() {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		panic(err)
	}
}

// leftBehind lists the processes that the tests have started, or those have, and
// that still run.
func leftBehind() string {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		switch {
		case err == unix.EINTR:
		case err == unix.ECHILD:
			return ""
		case err != nil:
			return err.Error()
		case pid == 0: // there are some, and none has ended
			var all []string
			files, _ := filepath.Glob("/proc/self/task/*/children")
			for _, file := range files {
				text, _ := os.ReadFile(file)
				all = append(all, strings.Fields(string(text))...)
			}
			return strings.Join(all, " ")
		}
	}
}

// child is a process that a command has started, held by a descriptor, so that
// no other process can be taken for it.
type child struct {
	t   *testing.T
	pid int
	fd  int
}

// children are the processes of a simulated cluster: "coordinator", "node-0".
func (c *process) children() map[string]child {
	c.t.Helper()
	all := map[string]child{}
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", c.cmd.Process.Pid))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, file := range files {
		text, _ := os.ReadFile(file) // of a thread that may have ended
		for _, field := range strings.Fields(string(text)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				c.t.Fatal(err)
			}
			if name := commandOf(pid); name != "" {
				all[name] = adopt(c.t, pid)
			}
		}
	}
	return all
}

// commandOf names a process of a cluster by its command line; "": it has ended.
func commandOf(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	args := strings.Split(string(text), "\x00")
	if len(args) < 2 {
		return ""
	}
	if i := slices.Index(args, "--name"); args[1] == "node" && i > 0 {
		return args[i+1]
	}
	return args[1]
}

func adopt(t *testing.T, pid int) child {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatalf("process %d: %v", pid, err)
	}
	t.Cleanup(func() {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		unix.Close(fd)
	})
	return child{t, pid, fd}
}

func (c child) signal(s syscall.Signal) {
	c.t.Helper()
	if err := unix.PidfdSendSignal(c.fd, s, nil, 0); err != nil {
		c.t.Fatal(err)
	}
}

// stop has the process stand still, and returns when all of its threads do: on a busy
// machine some go on for a while.
func (c child) stop() {
	c.t.Helper()
	c.signal(syscall.SIGSTOP)
	await(c.t, "the process to stand still", func() bool {
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", c.pid))
		return err == nil && !slices.ContainsFunc(files, func(file string) bool {
			text, err := os.ReadFile(file)
			return err == nil && !strings.Contains(string(text), ") T ")
		})
	})
}

// gone waits until the process has ended.
func (c child) gone(name string, within time.Duration) {
	c.t.Helper()
	deadline := time.Now().Add(within)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}}, int(time.Until(deadline).Milliseconds()))
		switch {
		case err == unix.EINTR:
		case err != nil:
			c.t.Fatal(err)
		case n == 0:
			c.t.Errorf("%s (process %d) is still there after %v", name, c.pid, within)
			return
		default:
			return
		}
	}
}

// allGone fails the test if any of the processes is left.
func allGone(children map[string]child, within time.Duration) {
	for name, c := range children {
		c.gone(name, within)
	}
}

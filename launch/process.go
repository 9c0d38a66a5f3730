package launch

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// parent starts processes from one thread that lives as long as they do: on
// Linux a child can be bound to the life of the thread that started it.
type parent struct {
	requests chan func()
	once     sync.Once
}

func newParent() *parent {
	p := &parent{requests: make(chan func())}
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for request := range p.requests {
			request()
		}
	}()
	return p
}

// release lets the thread go; what it has started must have ended.
func (p *parent) release() { p.once.Do(func() { close(p.requests) }) }

// process is one child.
type process struct {
	command *exec.Cmd
	started time.Time
	ended   chan struct{} // closed when exit is set
	exit    *Exit

	mu   sync.Mutex
	gone bool // its process id may belong to another process now
}

// start runs a command in a process group of its own, so that a terminal's Ctrl-C
// reaches only us, with its output appended to a log file.
func (p *parent) start(name, logPath, binary string, args, env []string) (*process, error) {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the child has its own
	info, err := log.Stat()
	if err != nil {
		return nil, err
	}
	child := &process{command: exec.Command(binary, args...), started: time.Now(), ended: make(chan struct{})}
	child.command.Stdout, child.command.Stderr = log, log
	child.command.Env = env
	child.command.SysProcAttr = attributes()
	started := make(chan error)
	p.requests <- func() { started <- child.command.Start() }
	if err := <-started; err != nil {
		return nil, err
	}
	go child.wait(name, logPath, info.Size())
	return child, nil
}

func (p *process) wait(name, logPath string, offset int64) {
	err := p.command.Wait()
	p.mu.Lock()
	p.gone = true
	p.mu.Unlock()
	p.exit = &Exit{Process: name, Code: code(p.command.ProcessState), Log: logPath, Tail: tail(logPath, offset)}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.exit.Tail += fmt.Sprintf("\n(waiting for it failed: %v)", err)
	}
	close(p.ended)
}

// signal sends sig to the child, unless it has ended.
func (p *process) signal(sig syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return nil
	}
	err := p.command.Process.Signal(sig)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(len(lines)-n, 0):], "\n")
}

package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parallax/internal/cli"
	"parallax/internal/train/traintest"
	_ "parallax/kernels/cpu"
)

// The tests of this package run the commands as processes: the test binary again,
// which with programVariable set is the program of that name. So a simulated
// cluster, which starts its own executable, works in them as it does for a person.

const (
	programVariable = "CLI_TEST_PROGRAM"
	unfitVariable   = "CLI_TEST_UNFIT" // the name of a node that has nowhere to prepare its data
)

func TestMain(m *testing.M) {
	if unfit := os.Getenv(unfitVariable); unfit != "" && slices.Contains(os.Args, unfit) {
		os.Args = append(os.Args, "--cache", os.DevNull)
	}
	switch os.Getenv(programVariable) {
	case "parallax":
		os.Exit(cli.Main(cli.Parallax()))
	case "coordinator":
		os.Exit(cli.Main(cli.Coordinator()))
	case "node":
		os.Exit(cli.Main(cli.Node()))
	}
	if signal.Ignored(os.Interrupt) { // in the background of a script, and what tests start would ignore it too
		signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	}
	adoptOrphans()
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if left := leftBehind(); code == 0 && left != "" {
			fmt.Fprintf(os.Stderr, "the tests have left processes behind: %s\n", left)
			code = 1
		}
		os.Exit(code)
	}))
}

// limit is how long a process may take before the test has failed.
const limit = 90 * time.Second

// long leaves a test out of a -short run, which is for the race detector: what it
// tests, other tests drive too, or it happens on one goroutine.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("left out by -short")
	}
}

// place is where processes run: a folder that is theirs, and their environment.
type place struct {
	t   *testing.T
	dir string
	env []string
}

// newPlace makes an empty folder, with more variables for what runs in it.
func newPlace(t *testing.T, env ...string) place {
	t.Helper()
	dir := t.TempDir()
	// The machine may be busy with other tests: a node that is slow is not dead, nor is it to
	// have fewer slots in another view.
	clean := []string{"PARALLAX_FAILURE_TIMEOUT=10s", "PARALLAX_STRAGGLER_FACTOR=0", "PATH=" + os.Getenv("PATH"), "HOME=" + dir, "XDG_CACHE_HOME=" + filepath.Join(dir, "cache")}
	return place{t, dir, append(clean, env...)}
}

func (p place) path(name string) string { return filepath.Join(p.dir, name) }

func (p place) write(name, text string) string {
	p.t.Helper()
	if err := os.WriteFile(p.path(name), []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
	return p.path(name)
}

// files lists what lies in the place, without the cache.
func (p place) files() string {
	p.t.Helper()
	var all []string
	err := filepath.WalkDir(p.dir, func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path == p.path("cache"):
			return filepath.SkipDir
		case path != p.dir:
			all = append(all, strings.TrimPrefix(path, p.dir+"/"))
		}
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return strings.Join(all, " ")
}

// process is a command under way.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	out    *bufio.Scanner
	stdout bytes.Buffer // what was read of it
	stderr transcript
	code   int
	cancel context.CancelFunc
}

// transcript is what a process has said on standard error, which can be read meanwhile.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (s *transcript) Len() int { return len(s.String()) }

// start begins "parallax args".
func (p place) start(args ...string) *process { return p.startAs("parallax", args...) }

// startAs begins one of the three programs.
func (p place) startAs(program string, args ...string) *process {
	p.t.Helper()
	return p.startIn(nil, program, args...)
}

// startIn begins a program behind a command that runs it.
func (p place) startIn(prefix []string, program string, args ...string) *process {
	p.t.Helper()
	executable, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	line := with(with(prefix, executable), args...)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	c := &process{t: p.t, cmd: exec.CommandContext(ctx, line[0], line[1:]...), cancel: cancel}
	c.cmd.Dir, c.cmd.Env = p.dir, append(p.env, programVariable+"="+program)
	c.cmd.Stderr = &c.stderr
	pipe, err := c.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	c.out = bufio.NewScanner(io.TeeReader(pipe, &c.stdout))
	c.out.Buffer(nil, 1<<20)
	if err := c.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		if c.cmd.ProcessState == nil {
			_ = c.cmd.Process.Kill()
			_ = c.cmd.Wait()
		}
		cancel()
	})
	return c
}

// run runs "parallax args" to its end.
func (p place) run(args ...string) *process {
	p.t.Helper()
	return p.start(args...).wait()
}

// wait reads to the end of the process and notes its exit code.
func (c *process) wait() *process {
	c.t.Helper()
	for c.out.Scan() {
	}
	err := c.cmd.Wait()
	c.cancel()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		c.t.Fatalf("%v: %v", c.cmd.Args[1:], err)
	}
	c.code = c.cmd.ProcessState.ExitCode()
	return c
}

func (c *process) signal(s syscall.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		c.t.Fatal(err)
	}
}

// want fails the test unless the process ended with a code.
func (c *process) want(code int) *process {
	c.t.Helper()
	if c.code != code {
		c.t.Fatalf("%v ended with exit code %d, want %d; it said:\n%s", c.cmd.Args[1:], c.code, code, c.said())
	}
	return c
}

// said is the end of what the process has printed.
func (c *process) said() string {
	out := c.stdout.String()
	return out[max(0, len(out)-1000):] + c.stderr.String()
}

// refuses fails the test unless the process ended with a code and exactly one
// line on standard error, that has all the words.
func (c *process) refuses(code int, words ...string) {
	c.t.Helper()
	c.want(code)
	line := strings.TrimSuffix(c.stderr.String(), "\n")
	if line == "" || strings.Contains(line, "\n") {
		c.t.Errorf("%v said not one sentence:\n%s", c.cmd.Args[1:], line)
	}
	for _, w := range words {
		if !strings.Contains(line, w) {
			c.t.Errorf("%v said %q, which lacks %q", c.cmd.Args[1:], line, w)
		}
	}
	if c.stdout.Len() > 0 {
		c.t.Errorf("%v printed %q", c.cmd.Args[1:], c.stdout.String())
	}
}

// event is a line of --json.
type event struct {
	Event      string
	Time       time.Time
	Step       int64
	Steps      int64
	Loss       *float64
	Tokens     int64
	TokensPerS float64 `json:"tokens_per_s"`
	FLOPsPerS  float64 `json:"flops_per_s"`
	WireBytes  float64 `json:"wire_bytes"`
	World      int
	Seconds    json.RawMessage
	Members    []struct{ Node string }
	Path       string
	Error      string
	Text       string
	Node       string
	Warning    bool
	Run        string
	RunDir     string `json:"run_dir"`
	ExitCode   int    `json:"exit_code"`
	Reason     string
	Checkpoint string
	Validation *float64 `json:"validation_loss"`
}

func parseEvent(t *testing.T, line []byte) event {
	t.Helper()
	var e event
	if err := json.Unmarshal(line, &e); err != nil || e.Event == "" {
		t.Fatalf("standard output has the line %q (%v), want JSON objects with an event", line, err)
	}
	return e
}

// until reads --json's events up to one that is as wanted.
func (c *process) until(wanted func(event) bool) event {
	c.t.Helper()
	for c.out.Scan() {
		if e := parseEvent(c.t, c.out.Bytes()); wanted(e) {
			return e
		}
	}
	c.wait()
	c.t.Fatalf("%v ended with exit code %d before what the test waits for:\n%s", c.cmd.Args[1:], c.code, c.said())
	return event{}
}

func (c *process) untilStep(n int64) {
	c.t.Helper()
	c.until(func(e event) bool { return e.Event == "step" && e.Step >= n })
}

// untilLine reads plain output up to the line that begins with prefix, and
// returns the rest of it.
func (c *process) untilLine(prefix string) string {
	c.t.Helper()
	for c.out.Scan() {
		if rest, found := strings.CutPrefix(c.out.Text(), prefix); found {
			return rest
		}
	}
	c.wait()
	c.t.Fatalf("%v ended with exit code %d and never said %q:\n%s", c.cmd.Args[1:], c.code, prefix, c.said())
	return ""
}

// address is where a coordinator listens, as its first line says.
func (c *process) address() string {
	c.t.Helper()
	address, _, _ := strings.Cut(c.untilLine("coordinating at "), ",")
	return address
}

// told is all that a run told by --json.
type told struct {
	all    []event
	run    string // its id
	losses map[int64]float64
	done   event
}

// told parses everything that was printed.
func (c *process) told() told {
	c.t.Helper()
	h := told{losses: map[int64]float64{}}
	for line := range bytes.Lines(c.stdout.Bytes()) {
		e := parseEvent(c.t, line)
		h.all = append(h.all, e)
		switch {
		case e.Event == "started":
			h.run = e.Run
		case e.Event == "step" && e.Loss != nil:
			h.losses[e.Step] = *e.Loss
		case e.Event == "done":
			h.done = e
		}
	}
	return h
}

// notice is the first notice that has the words, or fails the test.
func (h told) notice(t *testing.T, words string) event {
	t.Helper()
	for _, e := range h.all {
		if e.Event == "notice" && strings.Contains(e.Text, words) {
			return e
		}
	}
	t.Errorf("no notice says %q", words)
	return event{}
}

// specText is a run small enough that its processes take longer to start than to
// train.
const specText = `preset = "tiny"
[model]
layers = 1
width = 32
q_heads = 2
kv_heads = 1
head_dim = 16
ffn = 32
[train]
seq_len = 16
micro_batch = 2
slots = 4
steps = %d
[schedule]
warmup = 2
[eval]
every = 25
batches = 2
[checkpoint]
every = %d
`

// writeRun puts a spec and a text into the place and returns the flags that name
// them, and what else a run in it needs.
func (p place) writeRun(steps, checkpointEvery int) []string {
	p.t.Helper()
	p.write("run.toml", fmt.Sprintf(specText, steps, checkpointEvery))
	p.write("text.txt", traintest.Words(20000))
	return []string{"--config", "run.toml", "--data", "text.txt", "--http=", "--json"}
}

// stateOf is the bytes of a checkpoint's tensors.
func stateOf(t *testing.T, checkpoint string) string {
	t.Helper()
	var all strings.Builder
	for _, file := range []string{"model.safetensors", "optimizer.safetensors", "config.json"} {
		data, err := os.ReadFile(filepath.Join(checkpoint, file))
		if err != nil {
			t.Fatal(err)
		}
		all.Write(data)
	}
	return all.String()
}

// stepName is the folder of a step's checkpoint.
func stepName(step int64) string { return fmt.Sprintf("step-%08d", step) }

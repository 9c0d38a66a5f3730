package grpcring_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"parallax/collective"
	"parallax/collective/grpcring"
	"parallax/internal/direct"
)

// TestProcessLoss kills or stops a real process in mid-reduction. All others must
// name it: one that is killed without waiting for any deadline, and one that is stopped
// within one in which a busy machine lets all others say something.
func TestProcessLoss(t *testing.T) {
	for name, loss := range map[string]struct {
		signal  syscall.Signal
		timeout time.Duration
	}{"killed": {syscall.SIGKILL, time.Hour}, "stopped": {syscall.SIGSTOP, 4 * time.Second}} {
		for transport, direct := range map[string]bool{"grpc": false, "tcp": true} {
			t.Run(name+"/"+transport, func(t *testing.T) {
				t.Parallel()
				loseProcess(t, loss.signal, job{op: collective.SumF32, elements: 100_000, repeat: math.MaxInt32, timeout: loss.timeout, direct: direct})
			})
		}
	}
}

func loseProcess(t *testing.T, signal syscall.Signal, job job) {
	const n, victim = 4, 2
	r := startRanks(t, n, job)
	lost := make(chan error)
	go func() {
		_, err := r.job.run(r.host, r.addrs)
		lost <- err
	}()
	for _, c := range r.children {
		c.waitForWork(t)
	}
	if err := r.children[victim-1].cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	wantLost(t, <-lost, victim, "lost rank 2 (rank2 at "+r.addrs[victim]+")", "of step ")
	t.Logf("named after %v", time.Since(start).Round(time.Millisecond))
	for i, c := range r.children {
		if i+1 == victim {
			continue
		}
		if line := c.readLine(t); !strings.Contains(line, "lost rank 2 (rank2 at ") {
			t.Errorf("rank %d: %s", i+1, line)
		}
	}
}

// waitForWork returns when the process has reduced once.
func (c *child) waitForWork(t testing.TB) {
	t.Helper()
	if line := c.readLine(t); line != "working" {
		t.Fatalf("got %q from the rank's process", line)
	}
}

// runChild is the whole life of a rank's process.
func runChild(spec string) error {
	job, err := parseJob(spec)
	if err != nil {
		return err
	}
	h, err := job.listen()
	if err != nil {
		return err
	}
	defer h.grpc.Stop()
	fmt.Println(h.addr)
	addrs, err := readAddrs(os.Stdin)
	if err != nil {
		return err
	}
	_, err = job.run(h, addrs)
	var e *collective.Error
	if errors.As(err, &e) {
		fmt.Println(err)
		return nil
	}
	return err
}

func (j job) listen() (*host, error) {
	t, err := j.trust()
	if err != nil {
		return nil, err
	}
	return listenAs(t, j.direct)
}

// connect seats this process in the ring.
func (j job) connect(h *host, cfg collective.Config) (collective.Transport, error) {
	t, err := j.trust()
	if err != nil {
		return nil, err
	}
	next := t.Node(cfg.Members[(cfg.Rank+1)%len(cfg.Members)].Name)
	var opts []grpcring.Option
	if t.Secure() {
		opts = append(opts, grpcring.WithDialOptions(next.DialOptions()...))
	}
	if j.direct {
		notice := func(sentence string) { panic(sentence) }
		opts = append(opts, grpcring.WithDirect(direct.Dialer{Credentials: next.Credentials(), Notice: notice}))
	}
	return h.ring.Connect(context.Background(), cfg, opts...)
}

// run seats this process and measures, first a single repetition and then as many
// as asked for.
func (j job) run(h *host, addrs []string) (*collective.Measurement, error) {
	cfg := collective.Config{Generation: 1, Rank: j.rank, Timeout: j.timeout, ChunkBytes: j.chunk}
	for i, addr := range addrs {
		cfg.Members = append(cfg.Members, collective.Member{Name: fmt.Sprint("rank", i), Address: addr})
	}
	tr, err := j.connect(h, cfg)
	if err != nil {
		return nil, err
	}
	c, err := collective.New(cfg, tr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	trial := collective.Trial{Elements: j.elements, Repeat: 1, Op: j.op, CPU: cpuSeconds}
	if _, err := trial.AllReduce(context.Background(), c); err != nil {
		return nil, err
	}
	if j.rank > 0 {
		fmt.Println("working")
	}
	trial.Repeat = j.repeat
	return trial.AllReduce(context.Background(), c)
}

func cpuSeconds() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

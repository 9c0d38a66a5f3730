package grpcring_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"parallax/collective"
)

// Some tests and benchmarks run every rank in a process of its own, as a cluster
// does: the test's process is rank 0 and starts itself again for the others, see
// TestMain. They learn of each other over their standard input and output.

const rankEnv = "PARALLAX_TEST_RANK" // "rank op elements repeat timeout chunk"

// job is what every rank's process does: measure all-reduces.
type job struct {
	rank             int
	op               collective.Op
	elements, repeat int
	timeout          time.Duration
	chunk            int // bytes
}

func (j job) String() string {
	return fmt.Sprintf("%d %v %d %d %d %d", j.rank, j.op, j.elements, j.repeat, j.timeout, j.chunk)
}

func parseJob(spec string) (j job, err error) {
	var op string
	if _, err := fmt.Sscan(spec, &j.rank, &op, &j.elements, &j.repeat, &j.timeout, &j.chunk); err != nil {
		return j, err
	}
	j.op, err = collective.ParseOp(op)
	return j, err
}

func readAddrs(r io.Reader) ([]string, error) {
	line, err := bufio.NewReader(r).ReadString('\n')
	return strings.Fields(line), err
}

// ranks is a ring of processes, of which this is rank 0.
type ranks struct {
	job      job
	host     *host
	addrs    []string
	children []*child // ranks 1 to n-1
}

func startRanks(t testing.TB, n int, j job) *ranks {
	t.Helper()
	r := &ranks{job: j, host: newHost(t)}
	r.addrs = append(r.addrs, r.host.addr)
	for rank := 1; rank < n; rank++ {
		j.rank = rank
		c := startChild(t, j)
		r.children = append(r.children, c)
		r.addrs = append(r.addrs, c.readLine(t))
	}
	for _, c := range r.children {
		fmt.Fprintln(c.in, strings.Join(r.addrs, " "))
	}
	return r
}

type child struct {
	cmd *exec.Cmd
	in  io.Writer
	out *bufio.Reader
}

// startChild starts a rank's process. It is killed when the test ends.
func startChild(t testing.TB, j job) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), rankEnv+"="+j.String())
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return &child{cmd: cmd, in: in, out: bufio.NewReader(out)}
}

func (c *child) readLine(t testing.TB) string {
	t.Helper()
	line, err := c.out.ReadString('\n')
	if err != nil {
		t.Fatalf("a rank's process said nothing: %v", err)
	}
	return strings.TrimSpace(line)
}

package grpcring_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parallax/collective"
	"parallax/internal/certs"
	"parallax/internal/trust"
)

// Some tests and benchmarks run every rank in a process of its own, as a cluster
// does: the test's process is rank 0 and starts itself again for the others, see
// TestMain. They learn of each other over their standard input and output.

const rankEnv = "PARALLAX_TEST_RANK" // "rank op elements repeat timeout chunk direct pki"

// job is what every rank's process does: measure all-reduces.
type job struct {
	rank             int
	op               collective.Op
	elements, repeat int
	timeout          time.Duration
	chunk            int    // bytes
	direct           bool   // connections, not gRPC
	pki              string // folder of certificates, "": no TLS
}

// trust is what this rank shows to others.
func (j job) trust() (trust.Trust, error) {
	if j.pki == "" {
		return trust.Trust{}, nil
	}
	return trust.Load(trust.Files{TLS: certs.Folder(filepath.Join(j.pki, fmt.Sprint("rank", j.rank)))})
}

// issueRanks makes certificates for n ranks and returns their folder.
func issueRanks(t testing.TB, n int) string {
	t.Helper()
	dir := t.TempDir()
	authority, err := certs.Init(dir, "test", 1)
	for rank := range n {
		if err == nil {
			_, err = authority.Issue(certs.Request{Role: certs.Node, Name: fmt.Sprint("rank", rank), Days: 1})
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func (j job) String() string {
	return fmt.Sprintf("%d %v %d %d %d %d %t %q", j.rank, j.op, j.elements, j.repeat, j.timeout, j.chunk, j.direct, j.pki)
}

func parseJob(spec string) (j job, err error) {
	var op string
	if _, err := fmt.Sscanf(spec, "%d %s %d %d %d %d %t %q", &j.rank, &op, &j.elements, &j.repeat, &j.timeout, &j.chunk, &j.direct, &j.pki); err != nil {
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
	host, err := j.listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(host.grpc.Stop)
	r := &ranks{job: j, host: host}
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

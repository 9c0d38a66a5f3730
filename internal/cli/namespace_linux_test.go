package cli_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// network is two hosts: network namespaces with a cable between them.
type network struct {
	place
	names [2]string
}

// newNetwork makes the hosts 10.0.0.1 and 10.0.0.2, or skips the test.
func newNetwork(t *testing.T) network {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil || os.Geteuid() != 0 {
		t.Skip("network namespaces need root and the command ip")
	}
	n := network{newPlace(t), [2]string{fmt.Sprintf("plx%d-1", os.Getpid()), fmt.Sprintf("plx%d-2", os.Getpid())}}
	t.Cleanup(func() {
		for _, name := range n.names {
			_ = exec.Command("ip", "netns", "delete", name).Run()
		}
	})
	commands := []string{"netns add " + n.names[0], "netns add " + n.names[1],
		"link add eth0 netns " + n.names[0] + " type veth peer name eth0 netns " + n.names[1]}
	for i, name := range n.names {
		commands = append(commands, fmt.Sprintf("-n %s address add 10.0.0.%d/24 dev eth0", name, i+1),
			"-n "+name+" link set eth0 up", "-n "+name+" link set lo up")
	}
	for _, c := range commands {
		if out, err := exec.Command("ip", strings.Fields(c)...).CombinedOutput(); err != nil {
			t.Skipf("network namespaces are not permitted here: ip %s: %v: %s", c, err, out)
		}
	}
	return n
}

// start runs a program on host 1 or 2. The result is how it ended, and all it said.
func (n network) start(host int, program string, args ...string) <-chan string {
	n.t.Helper()
	executable, err := os.Executable()
	if err != nil {
		n.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	n.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", n.names[host-1], executable}, args...)...)
	cmd.Dir, cmd.Env = n.dir, append(n.env, programVariable+"="+program)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	ended := make(chan string, 1)
	go func() {
		_ = cmd.Wait()
		ended <- fmt.Sprintf("exit code %d\n%s", cmd.ProcessState.ExitCode(), said.String())
	}()
	return ended
}

// TestTwoHosts trains over a real network, with TLS and without --insecure.
func TestTwoHosts(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	n.writeRun(4, 4)
	n.run("certs", "init", "pki").want(0)
	n.run("certs", "issue", "pki", "coordinator", "10.0.0.1").want(0)
	n.run("certs", "issue", "pki", "node", "gpu01").want(0)
	n.run("certs", "issue", "pki", "node", "gpu02").want(0)
	n.write("gossip.key", n.run("certs", "gossip-key").want(0).stdout.String())
	n.env = append(n.env, "PARALLAX_DATA_PATH="+n.path("text.txt"))
	coordinator := n.start(1, "coordinator", with(tls("pki/coordinator"), "--listen", "10.0.0.1:7070", "--gossip", "10.0.0.1:7946",
		"--gossip-key-file", "gossip.key", "--nodes", "2", "--spec", "run.toml", "--run-dir", "run", "--http=")...)
	var nodes []<-chan string
	for host, name := range map[int]string{1: "gpu01", 2: "gpu02"} {
		address := fmt.Sprintf("10.0.0.%d", host)
		nodes = append(nodes, n.start(host, "node", with(tls("pki/"+name), "--name", name, "--threads", "1",
			"--coordinator", "10.0.0.1:7070", "--listen", address+":7071", "--gossip", address+":7947")...))
	}
	if end := <-coordinator; !strings.HasPrefix(end, "exit code 0\n") || !strings.Contains(end, "trained 4 steps") {
		t.Errorf("the coordinator ended with %s", end)
	}
	for _, node := range nodes {
		if end := <-node; !strings.HasPrefix(end, "exit code 0\n") {
			t.Errorf("a node ended with %s", end)
		}
	}
}

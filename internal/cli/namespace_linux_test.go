package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// wires is a network of hosts: network namespaces, each with a cable to a switch.
// The switch is a namespace too, and host 0.
type wires struct {
	place
	prefix string
}

var networks atomic.Int32 // that the tests have made

// newWires makes a switch, 10.0.0.100, and hosts 10.0.0.1 and up, or skips the test.
func newWires(t *testing.T, hosts int) wires {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil || os.Geteuid() != 0 {
		t.Skip("network namespaces need root and the command ip")
	}
	w := wires{newPlace(t), fmt.Sprintf("plx%d-%d-", os.Getpid(), networks.Add(1))}
	t.Cleanup(func() {
		for host := range hosts + 1 {
			_ = exec.Command("ip", "netns", "delete", w.name(host)).Run()
		}
	})
	hub := w.name(0)
	commands := []string{"netns add " + hub, "-n " + hub + " link add br0 type bridge", "-n " + hub + " link set br0 up",
		"-n " + hub + " link set lo up", "-n " + hub + " address add " + w.address(0) + "/24 dev br0"}
	for host := 1; host <= hosts; host++ {
		name, port := w.name(host), fmt.Sprint("port", host)
		commands = append(commands, "netns add "+name, "-n "+name+" link set lo up",
			"-n "+hub+" link add "+port+" type veth peer name eth0 netns "+name, "-n "+hub+" link set "+port+" master br0 up",
			"-n "+name+" address add "+w.address(host)+"/24 dev eth0", "-n "+name+" link set eth0 up")
	}
	for _, c := range commands {
		if out, err := exec.Command("ip", strings.Fields(c)...).CombinedOutput(); err != nil {
			t.Skipf("network namespaces are not permitted here: ip %s: %v: %s", c, err, out)
		}
	}
	return w
}

func (w wires) name(host int) string { return fmt.Sprint(w.prefix, host) }

func (w wires) address(host int) string {
	if host == 0 {
		return "10.0.0.100"
	}
	return fmt.Sprint("10.0.0.", host)
}

// start runs a program on a host.
func (w wires) start(host int, program string, args ...string) *process {
	w.t.Helper()
	return w.startIn([]string{"ip", "netns", "exec", w.name(host)}, program, args...)
}

// tool changes the network.
func (w wires) tool(line string) {
	w.t.Helper()
	words := strings.Fields(line)
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		w.t.Fatalf("%s: %v: %s", line, err, out)
	}
}

// cut takes the cable of a host out of the switch, and mend puts it back.
func (w wires) cut(host int)  { w.tool(fmt.Sprintf("ip -n %s link set port%d down", w.name(0), host)) }
func (w wires) mend(host int) { w.tool(fmt.Sprintf("ip -n %s link set port%d up", w.name(0), host)) }

// slow lets no more than 20 Mbit/s through the cable to a host.
func (w wires) slow(host int) {
	line := fmt.Sprintf("tc -n %s qdisc add dev port%d root tbf rate 20mbit burst 32kb latency 400ms", w.name(0), host)
	if out, err := exec.Command("sh", "-c", line).CombinedOutput(); err != nil {
		w.t.Skipf("slow links are not to be had here: %s: %v: %s", line, err, out)
	}
}

// node starts the node of a host, gpu01 on host 1.
func (w wires) node(host int, coordinator string, flags ...string) *process {
	w.t.Helper()
	at := w.address(host)
	return w.start(host, "node", with(flags, "--name", fmt.Sprintf("gpu%02d", host), "--threads", "1",
		"--coordinator", coordinator, "--listen", at+":7071", "--gossip", at+":7947")...)
}

// TestTwoHosts trains over a real network, with TLS and without --insecure.
func TestTwoHosts(t *testing.T) {
	t.Parallel()
	w := newWires(t, 2)
	w.writeRun(4, 4)
	w.run("certs", "init", "pki").want(0)
	w.run("certs", "issue", "pki", "coordinator", "10.0.0.1").want(0)
	w.run("certs", "issue", "pki", "node", "gpu01").want(0)
	w.run("certs", "issue", "pki", "node", "gpu02").want(0)
	w.place.write("gossip.key", w.run("certs", "gossip-key").want(0).stdout.String())
	w.env = append(w.env, "PARALLAX_DATA_PATH="+w.path("text.txt"))
	coordinator := w.start(1, "coordinator", with(tls("pki/coordinator"), "--listen", "10.0.0.1:7070", "--gossip", "10.0.0.1:7946",
		"--gossip-key-file", "gossip.key", "--nodes", "2", "--spec", "run.toml", "--run-dir", "run", "--http=")...)
	nodes := []*process{w.node(1, "10.0.0.1:7070", tls("pki/gpu01")...), w.node(2, "10.0.0.1:7070", tls("pki/gpu02")...)}
	if coordinator.wait().want(0); !strings.Contains(coordinator.stdout.String(), "trained 4 steps") {
		t.Errorf("the coordinator said %s", coordinator.said())
	}
	for _, node := range nodes {
		node.wait().want(0)
		if said := node.stderr.String(); strings.Contains(said, "goes over gRPC") {
			t.Errorf("a node's ring does without its direct connection:\n%s", said)
		}
	}
}

// endless is a run of three hosts that lasts until it is stopped, so that nothing
// in it depends on how fast this machine is.
type endless struct {
	wires
	coordinator *process
	nodes       map[int]*process
}

func startEndless(t *testing.T) endless {
	t.Helper()
	e := endless{newWires(t, 3), nil, map[int]*process{}}
	e.writeRun(endlessSteps, 0)
	e.env = append(e.env, "PARALLAX_DATA_PATH="+e.path("text.txt"), "PARALLAX_TRAIN_REDUCTION=sum-exact")
	e.coordinator = e.start(0, "coordinator", "--listen", "10.0.0.100:7070", "--gossip", "10.0.0.100:7946", "--insecure",
		"--nodes", "3", "--min-nodes", "2", "--failure-timeout", failureTimeout.String(), "--spec", "run.toml", "--run-dir", "run", "--http=", "--json")
	for host := 1; host <= 3; host++ {
		e.nodes[host] = e.node(host, "10.0.0.100:7070", "--insecure")
	}
	return e
}

// view reads on to the first step of the first view of so many members, and
// returns the view's sentence and that step.
func (e endless) view(members int) (reason string, step int64) {
	e.t.Helper()
	view := e.coordinator.until(func(v event) bool { return v.Event == "view" && len(v.Members) == members })
	first := e.coordinator.until(func(s event) bool { return s.Event == "step" && s.World == members })
	return view.Reason, first.Step
}

// stop ends the run after a step, and holds its losses against those of one
// process that nothing has disturbed.
func (e endless) stop(step int64) {
	e.t.Helper()
	e.coordinator.untilStep(step)
	e.coordinator.signal(syscall.SIGINT)
	got := e.coordinator.wait().want(0).told()
	alone := e.place.start("sim", "--nodes", "1", "--config", "run.toml", "--data", "text.txt", "--set", "train.reduction=sum-exact", "--http=", "--json")
	alone.untilStep(got.done.Step)
	alone.signal(syscall.SIGINT)
	want := alone.wait().told()
	if len(got.losses) != int(got.done.Step) {
		e.t.Errorf("%d losses were told of %d steps", len(got.losses), got.done.Step)
	}
	for step, loss := range got.losses {
		if want.losses[step] != loss {
			e.t.Fatalf("step %d: loss %v, undisturbed %v", step, loss, want.losses[step])
		}
	}
}

// TestPartition cuts a host off from all others in the middle of a run: they go on,
// saying who it was; it comes back; nobody's losses have changed.
func TestPartition(t *testing.T) {
	t.Parallel()
	e := startEndless(t)
	e.view(3)
	e.cut(3)
	reason, _ := e.view(2)
	if !strings.Contains(reason, "gpu03") || !strings.Contains(reason, "2 of 3 nodes") {
		t.Errorf("the view says %q", reason)
	}
	for host := 1; host <= 2; host++ {
		if said := e.nodes[host].cmd.ProcessState; said != nil {
			t.Errorf("the node of host %d has ended: %v", host, said)
		}
	}
	e.nodes[3].signal(syscall.SIGKILL) // as who looks after the host does, to start it anew
	e.nodes[3].wait()
	e.mend(3)
	back := e.node(3, "10.0.0.100:7070", "--insecure")
	_, step := e.view(3)
	e.stop(step + 5)
	for _, node := range []*process{e.nodes[1], e.nodes[2], back} {
		node.wait().want(0)
	}
}

// TestSlowLink slows one host's link in the middle of a run: all go on together,
// with the same losses.
func TestSlowLink(t *testing.T) {
	t.Parallel()
	e := startEndless(t)
	_, step := e.view(3)
	e.slow(3)
	e.stop(step + 20)
	views := 0
	for _, told := range e.coordinator.told().all {
		if told.Event == "view" {
			views++
		}
	}
	if views != 1 {
		t.Errorf("%d views, want one: a slow host is not a lost one", views)
	}
	for _, node := range e.nodes {
		node.wait().want(0)
	}
}

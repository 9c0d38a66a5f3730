package cli_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// freePort is one that nobody listens on now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// job is a place with the script of a job of two nodes, and with an srun that starts
// its tasks here.
func job(t *testing.T, steps int) (place, string) {
	t.Helper()
	p := daemons(t, steps)
	p.env = append(p.env, "PARALLAX_HTTP=127.0.0.1:0", "SLURMD_NODENAME=127.0.0.1", "SLURM_JOB_ID=41", "SLURM_JOB_NODELIST=127.0.0.1")
	for i, value := range p.env {
		if value == "PATH="+os.Getenv("PATH") {
			p.env[i] = "PATH=" + p.dir + ":" + os.Getenv("PATH")
		}
	}
	srun := "#!/bin/bash\nshift\nfor i in 0 1; do SLURM_PROCID=$i SLURM_LOCALID=$i SLURM_NTASKS=2 \"$@\" & done\nwait\n"
	if err := os.WriteFile(p.path("srun"), []byte(srun), 0o755); err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := p.run("launch", "slurm", "--binary", program, "--nodes", "2", "--tasks-per-host", "2", "--threads", "1",
		"--spec", "run.toml", "--run-dir", "runs/first", "--port", freePort(t), "--gossip-port", freePort(t)).want(0)
	return p, p.write("job.sh", script.stdout.String())
}

// A job's coordinator is killed. Its script starts it again, and the run ends as if
// nothing had been.
func TestJobStartsItsCoordinatorAgain(t *testing.T) {
	t.Parallel()
	const steps = 1500
	p, script := job(t, steps)
	j := p.startIn([]string{"bash", script}, "parallax")
	j.untilLine(fmt.Sprintf("step   20/%d ", steps))
	j.children()["coordinator"].signal(syscall.SIGKILL)
	j.wait().want(0)
	if said := j.stderr.String(); !strings.Contains(said, "the coordinator ended with 137; it is started again in 1 s") {
		t.Errorf("the script said %s", said)
	}
	for i, s := range p.recorded() {
		if s.Step != int64(i+1) {
			t.Fatalf("step %d is recorded in place %d", s.Step, i+1)
		}
	}
	if n := len(p.recorded()); n != steps {
		t.Errorf("%d steps are recorded", n)
	}
	if _, err := os.Stat(filepath.Join(p.dir, "runs/first/checkpoints", stepName(steps), "manifest.json")); err != nil {
		t.Error(err)
	}
}

// With --requeue, SIGTERM means that the host is taken back: who leaves ends with 75, and
// who trains to the end with 0.
func TestRequeueOnTerm(t *testing.T) {
	t.Parallel()
	const steps = 100000
	p := daemons(t, steps)
	c, address := p.coordinator("2", "--spec", "run.toml", "--min-nodes", "1", "--requeue")
	a, b := p.node("a", address, "--requeue"), p.node("b", address, "--requeue")
	c.untilLine("step     20/100000 ")
	b.signal(syscall.SIGTERM)
	b.wait().want(75)
	c.signal(syscall.SIGTERM)
	c.wait().want(75)
	a.wait().want(75)

	p = daemons(t, 30)
	c, address = p.coordinator("1", "--spec", "run.toml", "--requeue")
	p.node("a", address, "--requeue").wait().want(0)
	c.wait().want(0)
}

// A unit that serves the network in the clear says so beside it, not in it.
func TestUnitWithoutTLSWarns(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	clear := p.run("launch", "systemd", "node", "--coordinator", "head").want(0)
	if said := clear.stderr.String(); strings.Count(said, "\n") != 1 || !strings.Contains(said, "--tls-dir") || !strings.Contains(clear.stdout.String(), "--insecure") {
		t.Errorf("it says %q and prints\n%s", said, clear.stdout.String())
	}
	secure := p.run("launch", "systemd", "node", "--coordinator", "head", "--tls-dir", "/tls", "--gossip-key-file", "/key").want(0)
	if said := secure.stderr.String(); said != "" {
		t.Errorf("with TLS it says %q", said)
	}
}

// A spec that is on the coordinator's host alone cannot be checked, which is worth a warning.
func TestScriptsWarnOfSpecElsewhere(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for _, kind := range []string{"slurm", "systemd coordinator --coordinator head --tls-dir /tls --gossip-key-file /key"} {
		script := append(append([]string{"launch"}, strings.Fields(kind)...), "--nodes", "2", "--run-dir", "/runs", "--spec", p.path("run.toml"))
		said := p.run(script...).want(0).stderr.String()
		if said != "warning: --spec "+p.path("run.toml")+" is not here, so it was not checked; it must be there where the coordinator runs\n" {
			t.Errorf("%s says %q", kind, said)
		}
		p.write("run.toml", "train.steps = 10\n")
		if said := p.run(script...).want(0).stderr.String(); said != "" {
			t.Errorf("%s says %q of a spec that is here", kind, said)
		}
		if err := os.Remove(p.path("run.toml")); err != nil {
			t.Fatal(err)
		}
	}
}

// Data that no pod may have is worth a warning: an image may hold it.
func TestManifestsWarnOfDataElsewhere(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for path, warns := range map[string]bool{"/shared/text": false, "/shared": false, "/shared/../text": true, "/sharedtext": true, "text": true} {
		p.write("run.toml", fmt.Sprintf("data.path = %q\n", path))
		said := p.run("launch", "k8s", "--image", "a/b", "--spec", "run.toml", "--nodes", "2").want(0).stderr.String()
		if warned := strings.HasPrefix(said, "warning: data.path "+path+" of run.toml is not on the shared volume, which is at /shared: "); warned != warns || !warns && said != "" {
			t.Errorf("data at %s: it says %q", path, said)
		}
	}
}

// What manifests ask of the daemons, these know.
func TestManifestsFlagsExist(t *testing.T) {
	t.Parallel()
	p := daemons(t, 30)
	p.write("pods.toml", "data.path = \"/shared/text\"\n")
	text := p.run("launch", "k8s", "--image", "parallax", "--spec", "pods.toml", "--nodes", "3", "--min-nodes", "2", "--device", "cuda:0", "--threads", "4", "--tls").want(0).stdout.String()
	commands := 0
	for _, line := range strings.Split(text, "\n") {
		list, found := strings.CutPrefix(strings.TrimSpace(line), "command: ")
		if !found {
			continue
		}
		commands++
		var args []string
		if err := json.Unmarshal([]byte(list), &args); err != nil {
			t.Fatal(err)
		}
		if args[0] != "parallax" {
			t.Errorf("it runs %s", args[0])
		}
		p.run(append(args[1:], "--help")...).want(0)
	}
	if commands != 2 {
		t.Errorf("%d commands in\n%s", commands, text)
	}
}

package launch

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files of testdata anew")

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs from what is rendered now; run go test -update and look at the difference. Rendered:\n%s", path, got)
	}
}

var deployment = Deployment{
	Binary: "/opt/parallax/bin/parallax",
	Spec:   "/shared/runs/it's mine.toml",
	RunDir: "/shared/runs/first",
	Nodes:  8,
	Device: "cuda:0",
}

func TestSlurm(t *testing.T) {
	script, err := Slurm(SlurmOptions{Deployment: deployment, TasksPerHost: 4, CPUs: 16, GPUs: 1, Time: "12:00:00", Partition: "gpu", Account: "lab-7"})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "slurm_gpu.sh", script)
	lintShell(t, script)
}

func TestSlurmWithDefaults(t *testing.T) {
	script, err := Slurm(SlurmOptions{Deployment: Deployment{Spec: "run.toml", RunDir: "runs/first", Nodes: 4}})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "slurm_cpu.sh", script)
	lintShell(t, script)
}

func TestSSH(t *testing.T) {
	script, err := SSH(SSHOptions{Deployment: deployment, Coordinator: "head", Hosts: []string{"gpu01", "ann@10.0.0.2"}})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "ssh.sh", script)
	lintShell(t, script)
}

// systemdUnits are the coordinator's unit and a node's.
func systemdUnits(o SystemdOptions) (units [2]string, err error) {
	if units[0], err = SystemdCoordinator(o); err != nil {
		return units, err
	}
	units[1], err = SystemdNode(o)
	return units, err
}

// A node has from the coordinator what is to be trained.
func TestSystemdNodeNeedsOnlyCoordinator(t *testing.T) {
	o := SystemdOptions{User: "parallax", Coordinator: "head"}
	unit, err := SystemdNode(o)
	if err != nil || !strings.Contains(unit, "ExecStart="+SystemdBinary+" node ") || !strings.Contains(unit, "--coordinator head:7070") {
		t.Errorf("got %v and\n%s", err, unit)
	}
	if _, err := SystemdCoordinator(o); err == nil || !strings.Contains(err.Error(), "--spec") {
		t.Errorf("a coordinator without a spec gives %v", err)
	}
}

func TestSystemd(t *testing.T) {
	d := deployment
	d.Spec = `/shared/runs/100% "mine".toml`
	units, err := systemdUnits(SystemdOptions{Deployment: d, User: "parallax", Coordinator: "head"})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "parallax-coordinator.service", units[0])
	golden(t, "parallax-node.service", units[1])
	d.Binary = os.Args[0] // systemd-analyze wants it to exist
	if units, err = systemdUnits(SystemdOptions{Deployment: d, User: "root", Coordinator: "head"}); err != nil {
		t.Fatal(err)
	}
	lintUnits(t, map[string]string{"parallax-coordinator.service": units[0], "parallax-node.service": units[1]})
}

// secured is a deployment whose processes prove themselves.
func secured() Deployment {
	d := deployment
	d.TLSDir, d.GossipKeyFile, d.JoinTokenFile = "/etc/parallax/my tls", "/etc/parallax/gossip.key", "/etc/parallax/token"
	return d
}

func TestSecured(t *testing.T) {
	slurm, err := Slurm(SlurmOptions{Deployment: secured(), TasksPerHost: 1})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "slurm_tls.sh", slurm)
	lintShell(t, slurm)
	ssh, err := SSH(SSHOptions{Deployment: secured(), Coordinator: "head", Hosts: []string{"gpu01", "gpu02"}})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "ssh_tls.sh", ssh)
	lintShell(t, ssh)
	d := secured()
	d.Spec = "/shared/run.toml"
	units, err := systemdUnits(SystemdOptions{Deployment: d, User: "parallax", Coordinator: "head"})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "parallax-coordinator_tls.service", units[0])
	golden(t, "parallax-node_tls.service", units[1])
	for _, script := range []string{slurm, ssh, units[0], units[1]} {
		if strings.Contains(script, "--insecure") {
			t.Errorf("this is insecure:\n%s", script)
		}
	}
}

func TestKubernetes(t *testing.T) {
	d := deployment
	d.Binary, d.Spec, d.RunDir, d.MinNodes = "", "", "", 6
	gpu := KubernetesOptions{Deployment: d, Name: "first", Image: "registry.example/parallax:1", SpecText: "preset = \"0.6b\"\n\n[data]\n  path = \"/shared/it's text\"\n",
		Claim: "datasets", GPUs: 1, CPUs: "16", Memory: "64Gi", TLS: true}
	text, err := Kubernetes(gpu)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "kubernetes_gpu.yaml", text)
	if strings.Contains(text, "--insecure") {
		t.Error("this is insecure")
	}
	text, err = Kubernetes(KubernetesOptions{Deployment: Deployment{Nodes: 2, RunDir: "/shared/$(HOME)"}, Image: "parallax", SpecText: "[train]\nsteps = 10"})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "kubernetes_cpu.yaml", text)
}

func TestKubernetesOptionsAreChecked(t *testing.T) {
	for want, change := range map[string]func(*KubernetesOptions){
		"name of objects":         func(o *KubernetesOptions) { o.Name = "First" },
		"up to 40":                func(o *KubernetesOptions) { o.Name = strings.Repeat("a", 41) },
		"launch/Dockerfile":       func(o *KubernetesOptions) { o.Image = "" },
		"which run":               func(o *KubernetesOptions) { o.SpecText = "" },
		"text":                    func(o *KubernetesOptions) { o.SpecText = "a\x00" },
		"shared volume":           func(o *KubernetesOptions) { o.RunDir = "/elsewhere" },
		"-1 GPUs":                 func(o *KubernetesOptions) { o.GPUs = -1 },
		"class of storage":        func(o *KubernetesOptions) { o.StorageClass = "a}" },
		"amount":                  func(o *KubernetesOptions) { o.Memory = "64 GB" },
		"1 to 2 with --min-nodes": func(o *KubernetesOptions) { o.MinNodes = 3 },
		"no step":                 func(o *KubernetesOptions) { o.Grace = -1 },
	} {
		o := KubernetesOptions{Deployment: Deployment{Nodes: 2}, Image: "parallax", SpecText: "seed = 1"}
		change(&o)
		if _, err := Kubernetes(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	with := func(change func(*Deployment)) Deployment {
		d := deployment
		change(&d)
		return d
	}
	slurm := func(o SlurmOptions) error { _, err := Slurm(o); return err }
	ssh := func(o SSHOptions) error { _, err := SSH(o); return err }
	systemd := func(o SystemdOptions) error { _, err := systemdUnits(o); return err }
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"no spec":        {slurm(SlurmOptions{Deployment: with(func(d *Deployment) { d.Spec = "" })}), "spec"},
		"no folder":      {slurm(SlurmOptions{Deployment: with(func(d *Deployment) { d.RunDir = "" })}), "folder"},
		"no nodes":       {slurm(SlurmOptions{Deployment: with(func(d *Deployment) { d.Nodes = 0 })}), "--nodes is required"},
		"fewer nodes":    {slurm(SlurmOptions{Deployment: with(func(d *Deployment) { d.Nodes = -1 })}), "-1 nodes"},
		"port":           {slurm(SlurmOptions{Deployment: with(func(d *Deployment) { d.Port = 70000 })}), "70000"},
		"newline":        {slurm(SlurmOptions{Deployment: with(func(d *Deployment) { d.Spec = "a\nb" })}), "control character"},
		"directive":      {slurm(SlurmOptions{Deployment: deployment, Partition: "gpu\n#SBATCH --x"}), "#SBATCH"},
		"uneven":         {slurm(SlurmOptions{Deployment: deployment, TasksPerHost: 3}), "evenly"},
		"negative":       {slurm(SlurmOptions{Deployment: deployment, GPUs: -1}), "-1 GPUs"},
		"no hosts":       {ssh(SSHOptions{Deployment: deployment, Coordinator: "head"}), "which hosts"},
		"host is a flag": {ssh(SSHOptions{Deployment: deployment, Coordinator: "head", Hosts: []string{"-oProxyCommand=x"}}), "USER@HOST"},
		"host twice":     {ssh(SSHOptions{Deployment: deployment, Coordinator: "head", Hosts: []string{"a", "a"}}), "twice"},
		"no head":        {ssh(SSHOptions{Deployment: deployment, Hosts: []string{"a"}}), "coordinator could run on"},
		"no gossip key":  {slurm(SlurmOptions{Deployment: with(func(d *Deployment) { d.TLSDir = "tls" })}), "--gossip-key-file"},
		"token in clear": {slurm(SlurmOptions{Deployment: with(func(d *Deployment) { d.JoinTokenFile = "token" })}), "--tls-dir"},
		"relative TLS": {systemd(SystemdOptions{Deployment: with(func(d *Deployment) {
			d.TLSDir, d.GossipKeyFile = "tls", "/key"
		}), Coordinator: "head", User: "a"}), "absolute"},
		"user":          {systemd(SystemdOptions{Deployment: deployment, Coordinator: "head", User: "a b"}), "user"},
		"relative path": {systemd(SystemdOptions{Deployment: with(func(d *Deployment) { d.RunDir = "runs" }), Coordinator: "head", User: "a"}), "absolute"},
	} {
		if test.err == nil || !strings.Contains(test.err.Error(), test.want) {
			t.Errorf("%s: got %v, want an error with %q", name, test.err, test.want)
		}
	}
}

// lintShell has bash, and shellcheck if there is one, look at a script.
func lintShell(t *testing.T, script string) {
	t.Helper()
	for _, linter := range [][]string{{"bash", "-n"}, {"shellcheck", "-"}} {
		path, err := exec.LookPath(linter[0])
		if err != nil {
			t.Logf("%s is not installed, the script is not checked with it", linter[0])
			continue
		}
		command := exec.Command(path, linter[1:]...)
		command.Stdin = strings.NewReader(script)
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", linter, err, out)
		}
	}
}

func lintUnits(t *testing.T, units map[string]string) {
	t.Helper()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("systemd-analyze is not installed, the units are not checked with it")
		return
	}
	dir := t.TempDir()
	for name, text := range units {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(analyze, "verify", "--man=no", path).CombinedOutput()
		if strings.Contains(string(out), name) {
			t.Errorf("systemd-analyze on %s: %v\n%s", name, err, out)
		}
	}
}

// host is a folder of commands that stand in for a cluster's.
type host struct {
	dir string
	log string // what the commands wrote
}

// newHost installs the commands, bash scripts that may write to "$LOG".
func newHost(t *testing.T, commands map[string]string) host {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("bash is not installed, so the script cannot be tried")
	}
	dir := t.TempDir()
	h := host{dir, filepath.Join(dir, "log")}
	for name, body := range commands {
		text := "#!/bin/bash\n" + body + "\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// run runs a script among the host's commands and returns its exit code and the log.
func (h host) run(t *testing.T, script string) (code int, log string) {
	t.Helper()
	path := filepath.Join(h.dir, "script")
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("bash", path)
	command.Dir = h.dir
	command.Env = append(os.Environ(), "PATH="+h.dir+":"+os.Getenv("PATH"), "LOG="+h.log, "SLURM_JOB_ID=41", "SLURMD_NODENAME=gpu01")
	command.WaitDelay = time.Minute
	out, _ := command.CombinedOutput()
	t.Logf("%s", out)
	data, _ := os.ReadFile(h.log)
	return command.ProcessState.ExitCode(), string(data)
}

// TestSlurmScriptRequeues runs the script with stand-ins for srun, scontrol and
// parallax. When the coordinator is ready, srun's sends the signal that Slurm would.
func TestSlurmScriptRequeues(t *testing.T) {
	h := newHost(t, map[string]string{
		"scontrol": `echo "scontrol $*" >>"$LOG"`,
		"srun": `
			shift
			"$@"
			mkfifo "$LOG.ready" || true
			read -r <"$LOG.ready"
			kill -USR1 $PPID`,
		"parallax": `
			if [ "$1" = node ]; then echo "node $*" >>"$LOG"; exit 0; fi
			trap 'echo "coordinator: USR1" >>"$LOG"; kill $!; exit 75' USR1
			sleep 60 >/dev/null 2>&1 &
			mkfifo "$LOG.ready" || true
			echo ready >"$LOG.ready"
			wait`,
	})
	script, err := Slurm(SlurmOptions{Deployment: Deployment{Spec: "run.toml", RunDir: "runs/first", Nodes: 4}})
	if err != nil {
		t.Fatal(err)
	}
	code, log := h.run(t, script)
	if code != 75 || !strings.Contains(log, "coordinator: USR1\n") || !strings.Contains(log, "scontrol requeue 41\n") {
		t.Errorf("exit code %d, log:\n%s", code, log)
	}
	if !strings.Contains(log, "--coordinator gpu01:7070 --advertise gpu01\n") {
		t.Errorf("the node's command is not what it should be:\n%s", log)
	}
}

// scripts renders one of each kind that starts the coordinator again.
func scripts(t *testing.T) map[string]string {
	t.Helper()
	d := Deployment{Spec: "my run.toml", RunDir: "runs/first", Nodes: 2}
	slurm, err := Slurm(SlurmOptions{Deployment: d})
	if err != nil {
		t.Fatal(err)
	}
	ssh, err := SSH(SSHOptions{Deployment: d, Coordinator: "head", Hosts: []string{"a", "ann@b"}})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"slurm": slurm, "ssh": ssh}
}

// TestScriptsStartACrashedCoordinatorAgain has it crash in each way, and come back.
// The pauses between are those of a stand-in.
func TestScriptsStartACrashedCoordinatorAgain(t *testing.T) {
	for name, script := range scripts(t) {
		for crashes, test := range map[string]struct {
			code, starts int
			pauses       string
		}{
			"kill -9 $$; exit 70; exit 1; kill -ABRT $$; exit 0": {0, 5, "1 2 4 8"},
			"exit 70; exit 2": {2, 2, "1"},
			"kill -9 $$; kill -9 $$; kill -9 $$; kill -9 $$; kill -9 $$; kill -9 $$; kill -9 $$; exit 0": {137, 7, "1 2 4 8 16 32"},
		} {
			h := newHost(t, map[string]string{
				"scontrol": `echo "scontrol $*" >>"$LOG"`,
				"srun":     `exit 0`,
				"ssh":      `exit 0`,
				"sleep":    `echo "pause $1" >>"$LOG"`,
				"parallax": `
					echo start >>"$LOG"
					IFS=';' read -ra ways <<<"` + strings.ReplaceAll(crashes, "$", `\$`) + `"
					eval "${ways[$(grep -c start "$LOG") - 1]}"`,
			})
			code, log := h.run(t, script)
			var pauses []string
			for _, line := range strings.Split(log, "\n") {
				if _, seconds, found := strings.Cut(line, "pause "); found {
					pauses = append(pauses, seconds)
				}
			}
			if code != test.code || strings.Count(log, "start\n") != test.starts || strings.Join(pauses, " ") != test.pauses {
				t.Errorf("%s, %s: exit code %d, log:\n%s", name, crashes, code, log)
			}
		}
	}
}

// TestScriptsStopBetweenTwoStarts has the warning come while there is no coordinator.
func TestScriptsStopBetweenTwoStarts(t *testing.T) {
	for name, test := range map[string]struct {
		signal string
		log    string
	}{"slurm": {"USR1", "start\nscontrol requeue 41\n"}, "ssh": {"TERM", "start\n"}} {
		h := newHost(t, map[string]string{
			"scontrol": `echo "scontrol $*" >>"$LOG"`,
			"srun":     `exit 0`,
			"ssh":      `exit 0`,
			"sleep":    `kill -` + test.signal + ` $PPID`,
			"parallax": `echo start >>"$LOG"; kill -9 $$`,
		})
		if code, log := h.run(t, scripts(t)[name]); code != 137 || log != test.log {
			t.Errorf("%s: exit code %d, log:\n%s", name, code, log)
		}
	}
}

// TestScriptsPassExitCodesOn runs both scripts with a coordinator that fails.
func TestScriptsPassExitCodesOn(t *testing.T) {
	h := newHost(t, map[string]string{
		"scontrol": `echo "scontrol $*" >>"$LOG"`,
		"srun":     `exit 1`,
		"ssh":      `shift 4; eval "$*"`,
		"parallax": `echo "$*" >>"$LOG"; [ "$1" = node ] || exit 69`,
	})
	both := scripts(t)
	for name, script := range both {
		code, log := h.run(t, script)
		if code != 69 || strings.Contains(log, "scontrol") {
			t.Errorf("%s: exit code %d, log:\n%s", name, code, log)
		}
		if !strings.Contains(log, "--spec my run.toml") {
			t.Errorf("%s: the coordinator's command is not what it should be:\n%s", name, log)
		}
	}
	if _, log := h.run(t, both["ssh"]); !strings.Contains(log, "node --name b --advertise b --coordinator head:7070") {
		t.Errorf("the node's command is not what it should be:\n%s", log)
	}
}

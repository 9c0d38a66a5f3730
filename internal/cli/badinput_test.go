package cli_test

import (
	"encoding/binary"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"parallax/internal/train/traintest"
)

// badInput is a command that must be refused with exit code and one sentence,
// and leave no file but those that it was given.
type badInput struct {
	name    string
	program string // "": parallax
	args    string // split at spaces
	env     []string
	files   map[string]string
	code    int
	words   []string // in the sentence
}

// truncatedTokenFile is one in llm.c's format that lacks its last bytes.
func truncatedTokenFile() string {
	header := make([]byte, 1024)
	for i, word := range []uint32{20240520, 1, 5000} {
		binary.LittleEndian.PutUint32(header[4*i:], word)
	}
	return string(header) + strings.Repeat("x", 4321)
}

var badInputs = []badInput{
	// Settings.
	{name: "unknown key", args: "sim --config run.toml", files: map[string]string{"run.toml": "[model]\nlayerz = 2\n"},
		code: 2, words: []string{"run.toml:2", "model.layerz", "model.layers"}},
	{name: "node without patience", program: "node", args: "--patience 0s", code: 2, words: []string{"--patience", "more than 0"}},
	{name: "nodes that are no numbers", args: "bench ring --nodes 1,x", code: 2, words: []string{`invalid argument "1,x" for "-n, --nodes" flag: "x" must be an integer; see`}},
	{name: "too large a number", args: "bench ring --nodes 99999999999999999999", code: 2, words: []string{`"-n, --nodes" flag: "99999999999999999999" is out of range; see`}},
	{name: "too large a number in a file", args: "config check run.toml", files: map[string]string{"run.toml": "optimizer.lr = -1e400"}, code: 2,
		words: []string{`run.toml:1: this is not TOML: no number that fits can be read from "-1e400": value out of range (`}},
	{name: "train without patience", args: "train --patience -1s", code: 2, words: []string{"--patience", "more than 0"}},
	{name: "negative wait for nodes", program: "coordinator", args: "--join-timeout -1s", code: 2, words: []string{"--join-timeout"}},
	{name: "silence of more than a day", program: "coordinator", args: "--http= --listen 127.0.0.1:0 --gossip 127.0.0.1:0 --failure-timeout 25h", code: 2, words: []string{"--failure-timeout", "24h"}},
	{name: "unknown section", args: "config check run.toml", files: map[string]string{"run.toml": "[modle]\nlayers = 2\n"},
		code: 2, words: []string{"run.toml:1", "modle", "model"}},
	{name: "wrong type", args: "sim --config run.toml", files: map[string]string{"run.toml": "[model]\nlayers = \"two\"\n"},
		code: 2, words: []string{"run.toml:2", "model.layers", "integer", `"two"`}},
	{name: "fraction for an integer", args: "config print --config run.toml", files: map[string]string{"run.toml": "[train]\nsteps = 1.9\n"},
		code: 2, words: []string{"run.toml:2", "train.steps", "integer", "1.9"}},
	{name: "fraction by --set", args: "sim --set train.steps=1.9", code: 2, words: []string{"--set train.steps=1.9", "integer"}},
	{name: "steps out of range", args: "sim --steps -4", code: 2, words: []string{"train.steps = -4", "(from --steps)"}},
	{name: "negative threads", args: "sim --threads -1", code: 2, words: []string{"--threads", "must be 0 or more"}},
	{name: "negative threads of a device", args: "doctor --threads -1", code: 2, words: []string{"--threads", "must be 0 or more"}},
	{name: "negative threads in a script", args: "launch k8s --threads -1", code: 2, words: []string{"--threads", "must be 0 or more"}},
	{name: "negative threads from the environment", program: "node", env: []string{"PARALLAX_THREADS=-1"}, code: 2, words: []string{"PARALLAX_THREADS=-1", "must be 0 or more"}},
	{name: "another word for a key", args: "sim --set train.sequence=3", code: 2, words: []string{"did you mean train.seq_len?"}},
	{name: "steps of a comparison out of range", args: "compare --steps -4", code: 2, words: []string{"train.steps = -4", "(from --steps)"}},
	{name: "a script for no nodes", args: "launch k8s --image a/b --spec run.toml", files: map[string]string{"run.toml": "data.path = \"/shared/text\""}, code: 2, words: []string{"--nodes is required"}},
	{name: "an estimate for more nodes than slots", args: "estimate --nodes 9 --set train.slots=8", code: 2, words: []string{"9 nodes cannot share a step of 8 micro-batches"}},
	{name: "more pods than slots", args: "launch k8s --image a/b --spec run.toml --nodes 5", files: map[string]string{"run.toml": "data.path = \"/shared/text\"\ntrain.slots = 4"}, code: 2,
		words: []string{"run.toml", "5 nodes cannot share a step of 4 micro-batches"}},
	{name: "a binary file for a configuration", args: "config check bad.toml", files: map[string]string{"bad.toml": "\x7fELF\x00\x01=" + strings.Repeat("x", 5000)}, code: 2,
		words: []string{"bad.toml:1", `\x7fELF\x00`, "…"}},
	{name: "pods without data", args: "launch k8s --image a/b --spec run.toml --nodes 2", files: map[string]string{"run.toml": ""}, code: 2, words: []string{"run.toml", "data.path"}},
	{name: "a flag of pods", args: "launch k8s --spec run.toml --nodes 2 --image a/b --name A", files: map[string]string{"run.toml": "data.path = \"/shared/text\""}, code: 2, words: []string{"parallax: k8s: "}},
	{name: "a script for a spec that is not there", args: "launch ssh --coordinator a --run-dir /shared --spec nope.toml a b", code: 2, words: []string{"nope.toml"}},
	{name: "a script for a spec that is none", args: "launch ssh --coordinator a --run-dir /shared --spec run.toml a b", files: map[string]string{"run.toml": "train.step = 3"}, code: 2,
		words: []string{"run.toml:1", "train.steps"}},
	{name: "a job for a spec that is none", args: "launch slurm --nodes 2 --run-dir /shared --spec run.toml", files: map[string]string{"run.toml": "train.step = 3"}, code: 2,
		words: []string{"run.toml:1", "train.steps"}},
	{name: "a coordinator's unit for no spec", args: "launch systemd coordinator --coordinator head", code: 2, words: []string{"--spec"}},
	{name: "unknown key by --set", args: "sim --set model.width_=2", code: 2, words: []string{"model.width_", "model.width"}},
	{name: "misspelt variable", args: "sim", env: []string{"PARALLAX_MODEL_LAYER=2"}, code: 2, words: []string{"PARALLAX_MODEL_LAYER", "PARALLAX_MODEL_LAYERS"}},
	{name: "value out of range", args: "sim --set train.slots=0", code: 2, words: []string{"train.slots", "--set"}},
	{name: "mixer that is not built", args: "sim --set model.mixer=mesanet", code: 2, words: []string{"model.mixer", "mesanet", "parallax"}},
	{name: "heads that do not divide", args: "sim --set model.q_heads=5", code: 2, words: []string{"q_heads", "kv_heads"}},
	{name: "no TOML", args: "sim --config run.toml", files: map[string]string{"run.toml": "layers 2\n"}, code: 2, words: []string{"run.toml:1"}},
	{name: "missing config file", args: "sim --config nowhere.toml", code: 2, words: []string{"nowhere.toml"}},
	{name: "unknown preset", args: "sim --preset smal", code: 2, words: []string{"smal", "small"}},
	{name: "unknown preset to print", args: "config presets smal", code: 2, words: []string{"smal", "did you mean small?"}},
	{name: "unknown daemon setting", program: "coordinator", args: "--settings c.toml", files: map[string]string{"c.toml": "nodez = 2\n"},
		code: 2, words: []string{"c.toml:1", "nodez", "nodes"}},
	{name: "daemon variable of another type", program: "coordinator", env: []string{"PARALLAX_NODES=two"}, code: 2, words: []string{"PARALLAX_NODES=two"}},

	// Usage.
	{name: "unknown flag", args: "sim --stepz 5", code: 2, words: []string{"--stepz", "did you mean --steps?", "parallax sim --help"}},
	{name: "unknown command", args: "trian", code: 2, words: []string{"trian", "train"}},
	{name: "unknown subcommand", args: "config chek", code: 2, words: []string{"chek", "parallax config --help"}},
	{name: "argument too many", args: "sim now", code: 2, words: []string{"sim takes no arguments", `"now"`}},
	{name: "two runs", args: "runs show a b", code: 2, words: []string{"show takes at most one argument, a run"}},
	{name: "a third kind of unit", args: "launch systemd cluster", code: 2, words: []string{"coordinator or node", `"cluster"`}},
	{name: "no certificate's name", args: "certs issue pki", code: 2, words: []string{"the authority's folder, a role and a name", "1 came"}},
	{name: "mistyped flag", args: "compare --sedes 3", code: 2, words: []string{"--sedes", "did you mean --seeds?", "parallax compare --help"}},
	{name: "watch and stop", args: "train --follow --stop", code: 2, words: []string{"--follow", "--stop", "one of them"}},
	{name: "no steps to measure", args: "bench step --steps 0", code: 2, words: []string{"--steps 0: at least one"}},
	{name: "fewer than no steps to warm up", args: "bench step --warmup -1", code: 2, words: []string{"--warmup -1: it must be 0 or more"}},
	{name: "a launcher that there is not", args: "launch pbs", code: 2, words: []string{`no command "pbs" (there are k8s, slurm, ssh, systemd)`}},
	{name: "a mistyped launcher", args: "launch slrum", code: 2, words: []string{"(did you mean slurm?)"}},
	{name: "a certificate for nobody", args: "certs issue pki node", code: 2, words: []string{`but 2 came: "pki" "node"; see`}},
	{name: "a ring of one", args: "bench ring a:1", code: 2, words: []string{"at least two addresses"}},
	{name: "a task and a text", args: "sim --set data.task=noisy-recall --data file", files: map[string]string{"file": "abc"}, code: 2, words: []string{"data.task", "data.path"}},
	{name: "mistyped task", args: "sim --set data.task=noisy-recal", code: 2, words: []string{"did you mean noisy-recall?"}},
	{name: "a task in too short sequences", args: "sim --preset tiny --set data.task=associative-recall --set train.seq_len=8", code: 2, words: []string{"associative-recall", "at least 17"}},
	{name: "steps below none", args: "sim --steps -4", code: 2, words: []string{"train.steps = -4", "from --steps"}},
	{name: "a cluster beyond all bounds", args: "sim --nodes 5000", code: 2, words: []string{"--nodes 5000", "1 to 4096"}},
	{name: "an estimate for too many nodes", args: "estimate --nodes 4000000", code: 2, words: []string{"--nodes 4000000", "1 to 4096"}},
	{name: "one unknown device of two", args: "sim --device cpu,tpu:0", code: 2, words: []string{`unknown device "tpu:0"`}},
	{name: "unknown device", args: "sim --device cuda:0 --min-nodes 2", code: 2, words: []string{`unknown device "cuda:0"`, "-tags cuda"}},
	{name: "no nodes", args: "sim --nodes 0", code: 2, words: []string{"--nodes 0"}},
	{name: "more nodes than slots", args: "sim --preset tiny --nodes 5", code: 2, words: []string{"5 nodes", "train.slots"}},
	{name: "nothing to check", args: "config check", code: 2, words: []string{"parallax config check run.toml"}},
	{name: "no checkpoint given", args: "sample", code: 2, words: []string{"--checkpoint"}},
	{name: "no checkpoint there", args: "sample --checkpoint nowhere", code: 2, words: []string{"no checkpoint at nowhere"}},
	{name: "no text given", args: "eval --checkpoint nowhere", code: 2, words: []string{"--data"}},
	{name: "no ledger", args: "runs ls", code: 2, words: []string{"runs/ledger.db", "--ledger"}},
	{name: "no reference", args: "verify nowhere.safetensors", code: 2, words: []string{"nowhere.safetensors"}},

	// Data.
	{name: "missing data", args: "sim --data nowhere.txt", code: 2, words: []string{"nowhere.txt", "give a text file"}},
	{name: "empty data", args: "sim --data empty.txt", files: map[string]string{"empty.txt": ""}, code: 2, words: []string{"empty.txt"}},
	{name: "truncated tokens", args: "sim --data tokens.bin", files: map[string]string{"tokens.bin": truncatedTokenFile()},
		code: 2, words: []string{"tokens.bin", "5345 bytes", "5000 tokens", "copy or create it again"}},
	{name: "too little data", args: "sim --data short.txt", files: map[string]string{"short.txt": "too little"}, code: 2, words: []string{"use more data or shorter sequences"}},
	{name: "missing data to prepare", args: "data prepare nowhere", code: 2, words: []string{"nowhere"}},
	{name: "unknown tokenizer", args: "data prepare text.txt --tokenizer gpt9", files: map[string]string{"text.txt": "text"}, code: 2, words: []string{"gpt9", "gpt2"}},

	// Places.
	{name: "nothing to resume", args: "sim --resume", code: 2, words: []string{"no run to go on with", "runs", "leave --resume out"}},
	{name: "unwritable folder", args: "sim --dir file/runs --data text.txt", files: map[string]string{"file": "", "text.txt": traintest.Words(20000)},
		code: 2, words: []string{"file/runs", "cannot be made"}},
	{name: "folder of an earlier run", program: "coordinator", args: "--run-dir run --spec run.toml",
		files: map[string]string{"run.toml": "", "run/checkpoints/step-00000050/manifest.json": ""}, code: 2, words: []string{"run holds the checkpoints", "--resume", "--run-dir"}},
	{name: "resume which", program: "coordinator", args: "--resume", code: 2, words: []string{"--run-dir"}},
	{name: "missing spec", program: "coordinator", args: "--spec nowhere.toml", code: 2, words: []string{"nowhere.toml"}},

	// Network.
	{name: "no coordinator to submit to", args: "train --coordinator 127.0.0.1:1", code: 69, words: []string{"127.0.0.1:1", "is it running"}},
	{name: "no coordinator to follow", args: "train --follow --coordinator 127.0.0.1:1", code: 69, words: []string{"127.0.0.1:1", "is it running"}},
	{name: "no coordinator to stop", args: "train --stop --coordinator 127.0.0.1:1", code: 69, words: []string{"127.0.0.1:1", "is it running"}},
	{name: "coordinator for all to see", program: "coordinator", args: "--listen 0.0.0.0:0 --run-dir run", code: 2, words: []string{"--listen 0.0.0.0:0", "--insecure"}},
	{name: "its gossip for all to see", program: "coordinator", args: "--listen 127.0.0.1:0 --gossip 0.0.0.0:0 --run-dir run", code: 2, words: []string{"--gossip 0.0.0.0:0", "--insecure"}},
	{name: "node for all to see", program: "node", args: "--coordinator 127.0.0.1:1 --listen 0.0.0.0:0", code: 2, words: []string{"--listen 0.0.0.0:0", "--insecure"}},
	{name: "coordinator far away", program: "node", args: "--coordinator 192.0.2.1:7070", code: 2, words: []string{"--coordinator 192.0.2.1:7070", "--insecure"}},
	{name: "no coordinator named", program: "node", code: 2, words: []string{"--coordinator HOST:PORT", "MASTER_ADDR"}},
	{name: "no port", program: "node", args: "--coordinator 127.0.0.1", code: 2, words: []string{"--coordinator", "HOST:PORT"}},
	{name: "rank without world", program: "node", env: []string{"RANK=1", "MASTER_ADDR=127.0.0.1"}, code: 2, words: []string{"rank 1", "WORLD_SIZE"}},
	{name: "rank beyond world", program: "node", env: []string{"RANK=4", "WORLD_SIZE=4", "MASTER_ADDR=127.0.0.1"}, code: 2, words: []string{"rank 4 of 4"}},
	{name: "launchers disagree", program: "node", env: []string{"RANK=1", "SLURM_PROCID=2", "WORLD_SIZE=4"}, code: 2, words: []string{"RANK is 1", "SLURM_PROCID is 2"}},
}

// TestBadInput: who made a mistake reads one sentence that says where it is and
// what to do, a script sees the exit code, and nothing half-written is left.
func TestBadInput(t *testing.T) {
	long(t)
	t.Parallel()
	for _, c := range badInputs {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, c.env...)
			for name, text := range c.files {
				if err := os.MkdirAll(filepath.Dir(p.path(name)), 0o755); err != nil {
					t.Fatal(err)
				}
				p.write(name, text)
			}
			before := p.files()
			program := c.program
			if program == "" {
				program = "parallax"
			}
			p.startAs(program, strings.Fields(c.args)...).wait().refuses(c.code, c.words...)
			if after := p.files(); after != before {
				t.Errorf("it left %q, there was %q", after, before)
			}
		})
	}
}

// refusesLast is refuses for a node, which logs what it does before it gives up.
func (c *process) refusesLast(code int, words ...string) {
	c.t.Helper()
	c.want(code)
	lines := strings.Split(strings.TrimSpace(c.stderr.String()), "\n")
	last := lines[len(lines)-1]
	for _, w := range words {
		if !strings.HasPrefix(last, "node: ") || !strings.Contains(last, w) {
			c.t.Errorf("the node's last words were %q, want %q in them", last, w)
		}
	}
}

func TestUnknownDevice(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.startAs("node", "--coordinator", "127.0.0.1:1", "--device", "tpu:0").wait().refusesLast(2, `"tpu:0"`, "cpu", "--device")
}

func TestNoCoordinator(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.startAs("node", "--coordinator", "127.0.0.1:1", "--patience", "100ms").wait().
		refusesLast(69, "no coordinator answers at 127.0.0.1:1", "waited 100ms", "is it running")
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()
	p := newPlace(t)
	p.startAs("coordinator", "--listen", address, "--run-dir", "run").wait().refuses(2, address, "in use", "--listen")
	p.startAs("coordinator", "--listen", "127.0.0.1:0", "--gossip", address, "--run-dir", "run").wait().refuses(2, address, "in use", "--gossip")
	p.startAs("node", "--coordinator", "127.0.0.1:1", "--listen", address).wait().refusesLast(2, address, "in use", "--listen")
	if left := p.files(); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

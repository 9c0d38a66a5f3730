package cli_test

import (
	"encoding/csv"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"parallax/internal/train/traintest"
)

// trained is a place with a run of 150 steps, and what it told.
func trained(t *testing.T) (place, told) {
	t.Helper()
	p := newPlace(t)
	return p, p.sim("1", append(p.writeRun(150, 60), "--name", "first")...)
}

// decode reads the one JSON object that a process has printed.
func (c *process) decode(into any) {
	c.t.Helper()
	if err := json.Unmarshal(c.stdout.Bytes(), into); err != nil {
		c.t.Fatalf("%v printed %q: %v", c.cmd.Args[1:], c.stdout.String(), err)
	}
}

func TestEvalAndSample(t *testing.T) {
	long(t)
	t.Parallel()
	p, h := trained(t)
	var eval struct {
		Loss, Perplexity float64
		Tokens, Step     int64
		Checkpoint       string
	}
	p.run("eval", "--checkpoint", "runs/"+h.run, "--data", "text.txt", "--json").want(0).decode(&eval)
	if eval.Step != 150 || filepath.Base(eval.Checkpoint) != stepName(150) || eval.Tokens < 19000 || eval.Perplexity != math.Exp(eval.Loss) {
		t.Errorf("eval says %+v", eval)
	}
	if last := h.losses[150]; math.Abs(eval.Loss-last) > 0.15*last {
		t.Errorf("the loss on the text that it was trained on is %v, in the last step it was %v", eval.Loss, last)
	}
	var earlier struct{ Loss float64 }
	p.run("eval", "--checkpoint", filepath.Join(filepath.Dir(h.done.Checkpoint), stepName(60)), "--data", "text.txt", "--json").want(0).decode(&earlier)
	if earlier.Loss <= eval.Loss {
		t.Errorf("the loss was %v after 60 steps, and is %v after 150", earlier.Loss, eval.Loss)
	}
	p.run("eval", "--checkpoint", "runs", "--data", "text.txt").refuses(2, "runs holds no checkpoint", "such as runs/"+h.run)
	p.run("eval", "--checkpoint", h.done.Checkpoint, "--data", "nowhere.txt").refuses(2, "nowhere.txt")
	p.run("eval", "--checkpoint", h.done.Checkpoint, "--data", "text.txt", "--device", "tpu").refuses(2, "tpu", "cpu")

	sample := func(args ...string) string {
		return p.run(append([]string{"sample", "--checkpoint", h.done.Checkpoint, "--prompt", "the ring", "--tokens", "30"}, args...)...).want(0).stdout.String()
	}
	first := sample("--seed", "7")
	if !strings.HasPrefix(first, "the ring") || len(strings.Trim(first, "abcdefghijklmnopqrstuvwxyz \n")) > 0 {
		t.Errorf("a sample is %q", first)
	}
	if again := sample("--seed", "7"); again != first {
		t.Errorf("the same seed gives %q, then %q", first, again)
	}
	if other := sample("--seed", "8"); other == first {
		t.Errorf("another seed gives %q too", other)
	}
	if a, b := sample("--temperature", "0", "--seed", "1"), sample("--temperature", "0", "--seed", "2"); a != b {
		t.Errorf("at temperature 0 the seed matters: %q, %q", a, b)
	}
	p.run("sample", "--checkpoint", h.done.Checkpoint, "--temperature=-1").refuses(2, "--temperature")
}

func TestRuns(t *testing.T) {
	long(t)
	t.Parallel()
	p, h := trained(t)
	id := h.run
	var run struct {
		ID, Name, Status string
		Steps            int64
		Loss             float64
		Validation       float64 `json:"validation_loss"`
		Parameters       int
	}
	p.run("runs", "ls", "--json").want(0).decode(&run)
	if run.ID != id || run.Name != "first" || run.Status != "done" || run.Steps != 150 || run.Loss != h.losses[150] ||
		run.Validation != *h.done.Validation || run.Parameters != parameters(t, p, "") {
		t.Errorf("runs ls --json says %+v", run)
	}
	if table := p.run("runs", "ls").want(0).stdout.String(); strings.Count(table, "\n") != 2 || !strings.Contains(table, id) {
		t.Errorf("runs ls prints\n%s", table)
	}
	shown := p.run("runs", "show", id[:15]).want(0).stdout.String()
	for _, words := range []string{id, "done", "trained 150 steps", "node-0", "generation 1", "checkpoint of step 120"} {
		if !strings.Contains(shown, words) {
			t.Errorf("runs show lacks %q:\n%s", words, shown)
		}
	}
	p.run("runs", "show", "1999").refuses(2, "1999")

	lines := strings.Split(strings.TrimSpace(p.run("runs", "export").want(0).stdout.String()), "\n")
	for _, line := range lines {
		if !json.Valid([]byte(line)) {
			t.Errorf("runs export has the line %q", line)
		}
	}
	p.run("runs", "export", id, "--format", "csv", "--table", "steps", "-o", "steps.csv").want(0)
	f, err := os.Open(p.path("steps.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if rows, err := csv.NewReader(f).ReadAll(); err != nil || len(rows) != 151 || len(lines) < 150 {
		t.Errorf("%d rows and %d lines for 150 steps (%v)", len(rows), len(lines), err)
	}
	p.run("runs", "export", "--format", "xml").refuses(2, "xml", "jsonl", "csv")
	p.run("runs", "export", "--format", "csv", "--table", "stairs", "-o", "stairs.csv").refuses(2, "stairs", "steps")
	if _, err := os.Stat(p.path("stairs.csv")); err == nil {
		t.Error("a refused export left a file")
	}
}

func TestConfigCommands(t *testing.T) {
	long(t)
	t.Parallel()
	p := newPlace(t, "PARALLAX_TRAIN_SLOTS=8")
	p.write("run.toml", "preset = \"tiny\"\n[train]\nsteps = 7\n")
	if said := p.run("config", "check", "run.toml").want(0).stdout.String(); !strings.HasPrefix(said, "run.toml: valid, spec hash ") {
		t.Errorf("config check says %q", said)
	}
	printed := p.run("config", "print", "--config", "run.toml", "--set", "model.layers=3").want(0).stdout.String()
	for key, want := range map[string]string{
		"train.steps": "= 7 # run.toml:3", "train.slots": "= 8 # environment PARALLAX_TRAIN_SLOTS", "model.layers": "= 3 # --set",
		"model.width": "= 128 # preset tiny", "model.norm_eps": "= 1e-06 # default",
	} {
		if !strings.Contains(strings.Join(strings.Fields(printed), " "), key+" "+want) {
			t.Errorf("config print lacks %s %s:\n%s", key, want, printed)
		}
	}
	// What --toml prints is the same run, whole.
	p.write("whole.toml", p.run("config", "print", "--config", "run.toml", "--toml").want(0).stdout.String())
	hash := func(file string) string {
		_, after, _ := strings.Cut(p.run("config", "check", file).want(0).stdout.String(), "hash ")
		return after
	}
	if hash("run.toml") != hash("whole.toml") {
		t.Error("the file of config print --toml is another run")
	}
	presets := p.run("config", "presets").want(0).stdout.String()
	for _, name := range []string{"tiny", "small", "gpt2-124m", "0.6b", "1.7b"} {
		if !strings.Contains(presets, name+" ") {
			t.Errorf("config presets lacks %s:\n%s", name, presets)
		}
		p.write("preset.toml", p.run("config", "presets", name).want(0).stdout.String())
		p.run("config", "check", "preset.toml").want(0)
	}
}

func TestDataPrepare(t *testing.T) {
	long(t)
	t.Parallel()
	p := newPlace(t)
	p.write("text.txt", traintest.Words(5000))
	told := strings.Split(p.run("data", "prepare", "text.txt", "--cache", "tokens").want(0).stdout.String(), "\n")
	if len(told) != 3 || strings.Contains(told[0], "cached") || !strings.Contains(told[0], "byte tokens") {
		t.Fatalf("data prepare says %q", told)
	}
	again := strings.Split(p.run("data", "prepare", "text.txt", "--cache", "tokens").want(0).stdout.String(), "\n")
	if !strings.Contains(again[0], "(cached)") || again[1] != told[1] {
		t.Errorf("the second time it says %q", again)
	}
	if made := p.run("data", "prepare", told[1]).want(0).stdout.String(); !strings.HasPrefix(made, "token file ") {
		t.Errorf("of its own file it says %q", made)
	}
}

// What a person reads at the end of a run is true: the commands that it proposes
// for the run work as they stand.
func TestWhatToTryNext(t *testing.T) {
	long(t)
	t.Parallel()
	p := newPlace(t)
	p.writeRun(20, 0)
	said := p.run("sim", "--nodes", "2", "--config", "run.toml", "--data", "text.txt", "--http=", "--dir", "my-runs").want(0).stdout.String()
	for _, words := range []string{"generation 1: 2 of 2 nodes are ready", "step 20/20  loss ", "step 20  validation loss ", "ended after step 20 ", "results ", "checkpoint ", "record "} {
		if !strings.Contains(said, words) {
			t.Errorf("the run did not say %q:\n%s", words, said)
		}
	}
	_, proposed, _ := strings.Cut(said, "try next\n")
	tried := 0
	for line := range strings.Lines(proposed) {
		line = strings.ReplaceAll(strings.TrimSpace(line), "'The '", "The")
		args, found := strings.CutPrefix(line, "parallax ")
		if !found {
			t.Errorf("%q is no command", line)
		}
		if !strings.HasPrefix(args, "sim ") { // that would train a larger model
			p.run(strings.Fields(args)...).want(0)
			tried++
		}
	}
	if tried < 2 {
		t.Errorf("it proposes\n%s", proposed)
	}
}

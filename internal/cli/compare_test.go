package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// report is what a script reads of a comparison.
type report struct {
	Seeds  int
	Metric string
	Arms   []struct {
		Arm        string
		Parameters int64
		Steps      int
		Runs       []string
		Validation map[string]struct {
			Mean, Deviation float64
			Values          []float64
		} `json:"validation_loss"`
	}
	Verdicts []struct{ Axis, Sentence string }
	Notes    []string
}

func (c *process) report() (r report) {
	c.t.Helper()
	c.want(0).decode(&r)
	return r
}

// compareArms are the flags of a small comparison.
func (p place) compareArms(more ...string) []string {
	return append(append([]string{"compare", "--nodes", "1", "--arms", "parallax,softmax"}, p.writeRun(50, 10)...), more...)
}

// A comparison trains every arm with every seed, reports them in all forms, and
// does nothing a second time.
func TestCompare(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	flags := p.compareArms("--seeds", "2", "--out", "report")
	c := p.run(flags...)
	r := c.report()
	if len(r.Arms) != 2 || r.Arms[0].Arm != "parallax" || r.Arms[0].Parameters <= r.Arms[1].Parameters || r.Metric != "validation loss" {
		t.Fatalf("%+v", r)
	}
	for _, arm := range r.Arms {
		for _, axis := range []string{"tokens", "flops"} { // seconds may be fewer than to the first evaluation
			if loss := arm.Validation[axis]; len(loss.Values) != 2 || loss.Mean < 0.1 || loss.Mean > 6 {
				t.Errorf("%s at equal %s: %+v", arm.Arm, axis, loss)
			}
		}
	}
	if len(r.Verdicts) != 3 || !strings.HasPrefix(r.Verdicts[1].Sentence, "At equal model FLOPs") || !strings.HasSuffix(r.Verdicts[1].Sentence, "(2 seeds).") {
		t.Errorf("verdicts: %+v", r.Verdicts)
	}
	for _, file := range []string{"report.json", "loss-tokens.svg", "loss-flops.png", "loss-seconds.png"} {
		if info, err := os.Stat(p.path("report/" + file)); err != nil || info.Size() < 1000 {
			t.Errorf("%s: %v", file, err)
		}
	}
	again := p.run(flags...)
	if n := strings.Count(again.stderr.String(), "recorded already"); n != 4 {
		t.Errorf("the second time, %d of 4 runs were known:\n%s", n, again.stderr.String())
	}
	if got := again.report(); !slices.Equal(got.Verdicts, r.Verdicts) {
		t.Errorf("the second time the verdicts were %v", got.Verdicts)
	}
	text := p.run(slices.DeleteFunc(slices.Clone(flags), func(f string) bool { return f == "--json" })...).want(0).stdout.String()
	for _, want := range append([]string{"VALIDATION LOSS AT EQUAL", "COMPUTE-MATCHED THROUGHPUT", "LAYERS AT THE END", "the same shape without W_R", "report.json"}, r.Verdicts[0].Sentence) {
		if !strings.Contains(text, want) {
			t.Errorf("a person does not read %q in\n%s", want, text)
		}
	}
}

// With equal seconds, trial runs decide the lengths, once.
func TestCompareEqualSeconds(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	flags := p.compareArms("--seeds", "1", "--budget", "seconds")
	first := p.run(flags...).report()
	if first.Arms[0].Steps != 50 || first.Arms[1].Steps < 1 {
		t.Errorf("%+v", first.Arms)
	}
	again := p.run(flags...)
	if n := strings.Count(again.stderr.String(), "recorded already"); n != 4 || again.report().Arms[1].Steps != first.Arms[1].Steps {
		t.Errorf("the second time, %d of 4 runs were known:\n%s", n, again.stderr.String())
	}
}

// Ctrl-C ends a comparison with 75, and the same command goes on with the run
// that it has stopped.
func TestCompareGoesOn(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	flags := p.compareArms("--seeds", "1", "--set", "train.steps=400")
	c := p.start(flags...)
	p.await("runs/*/checkpoints/step-*/manifest.json")
	c.signal(syscall.SIGINT)
	if said := c.wait().want(75).stderr.String(); !strings.Contains(said, "was stopped at step") || !strings.Contains(said, "the same command goes on") {
		t.Errorf("it said %s", said)
	}
	again := p.run(flags...)
	if said := again.stderr.String(); !strings.Contains(said, "going on with run") {
		t.Errorf("the second time it said %s", said)
	}
	if r := again.report(); len(r.Arms) != 2 || r.Arms[0].Validation["tokens"].Mean == 0 {
		t.Errorf("%+v", r)
	}
	if runs, _ := filepath.Glob(p.path("runs/*/spec.toml")); len(runs) != 2 {
		t.Errorf("two arms made %d runs", len(runs))
	}
}

// await waits for a file of the place.
func (p place) await(pattern string) {
	p.t.Helper()
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if found, _ := filepath.Glob(p.path(pattern)); len(found) > 0 {
			return
		}
	}
	p.t.Fatalf("there is no %s after %v", pattern, limit)
}

func TestCompareRefuses(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for _, c := range []struct {
		args  string
		words []string
	}{
		{"--arms parallax,sotfmax", []string{`"sotfmax"`, "softmax+flops"}},
		{"--arms softmax,softmax", []string{"softmax is there twice"}},
		{"--seeds 0", []string{"--seeds 0"}},
		{"--budget money", []string{`"money"`, "tokens, flops or seconds"}},
		{"--optimizer sgd", []string{"optimizer.name", "sgd"}},
		{"--set model.mixer=softmax", []string{"model.mixer", "set it to parallax"}},
		{"--nodes 0", []string{"--nodes 0"}},
		{"--data nowhere.txt", []string{"nowhere.txt"}},
	} {
		p.run(append([]string{"compare"}, strings.Fields(c.args)...)...).refuses(2, c.words...)
	}
	if left := p.files(); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

func TestEstimate(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	var e struct {
		Parameters int64
		Fits       bool
		Memory     []struct {
			Name  string
			Bytes int64
		} `json:"memory_per_rank"`
		Traffic struct{ Gradients, Updates int64 } `json:"traffic_per_step_and_rank"`
		Seconds []struct {
			Seconds float64
			Source  string
		} `json:"seconds_per_step"`
		NoRecord string `json:"no_record"`
	}
	p.run("estimate", "--preset", "tiny", "--nodes", "2", "--json").want(0).decode(&e)
	if e.Parameters != 361280 || !e.Fits || len(e.Memory) != 12 || e.Traffic.Gradients < 4*e.Parameters || e.Traffic.Updates == 0 {
		t.Errorf("%+v", e)
	}
	if len(e.Seconds) != 1 || e.Seconds[0].Seconds <= 0 || !strings.Contains(e.Seconds[0].Source, "measured now") {
		t.Errorf("without a ledger: %+v", e.Seconds)
	}
	tooMuch := p.run("estimate", "--preset", "1.7b", "--set", "train.micro_batch=512", "--json").want(2)
	if err := json.Unmarshal(tooMuch.stdout.Bytes(), &e); err != nil || e.Fits {
		t.Errorf("512 sequences at a time fit: %v, %+v", err, e)
	}
	if said := tooMuch.stderr.String(); !strings.Contains(said, "the largest part on a rank is activations") || !strings.Contains(said, "train.micro_batch") {
		t.Errorf("it said %s", said)
	}
	p.run("estimate", "--nodes", "0").refuses(2, "--nodes 0")
	p.run("estimate", "--link", "-1").refuses(2, "--link -1")
	p.run("estimate", "--device", "tpu").refuses(2, "tpu", "cpu")
	p.sim("1", p.writeRun(50, 0)...)
	p.run("estimate", "--config", "run.toml", "--json").want(0).decode(&e)
	if e.NoRecord != "" || len(e.Seconds) != 2 || !strings.Contains(e.Seconds[1].Source, "at the rate of whole steps of run") {
		t.Errorf("with a ledger: %+v, %s", e.Seconds, e.NoRecord)
	}
	p.run("estimate", "--preset", "small", "--json").want(0).decode(&e)
	if len(e.Seconds) != 1 || !strings.Contains(e.NoRecord, "no run of it on this hardware has a model of about this size") {
		t.Errorf("of another size: %+v, %s", e.Seconds, e.NoRecord)
	}
}

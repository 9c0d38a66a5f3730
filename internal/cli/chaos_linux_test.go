package cli_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
)

// drillEvent is a line of chaos --json.
type drillEvent struct {
	Event      string
	Kind       string
	Recovery   float64 `json:"recovery_s"`
	StepsAgain int     `json:"steps_again"`
	Rejoin     float64 `json:"rejoin_s"`
	Equal      bool
	Failures   int
	State      string
	Difference string
}

func drillEvents(t *testing.T, out []byte) (all []drillEvent) {
	t.Helper()
	for line := range bytes.Lines(out) {
		var e drillEvent
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, e)
	}
	if len(all) == 0 || all[len(all)-1].Event != "verdict" {
		t.Fatalf("no verdict is the last of %q", out)
	}
	return all
}

// A drill breaks nodes, takes them back, and ends with the bits of the undisturbed
// run; the next one in the same folder takes that from the ledger, and finds it out
// if it is another.
func TestDrill(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "PARALLAX_FAILURE_TIMEOUT="+failureTimeout.String())
	p.writeRun(50, 0)
	drill := []string{"chaos", "--nodes", "3", "--config", "run.toml", "--data", "text.txt", "--set", "train.reduction=sum-exact", "--steps", "1500", "--dir", "drills", "--json"}

	first := drillEvents(t, p.run(append(drill, "--faults", "kill,drain", "--count", "2")...).want(0).stdout.Bytes())
	verdict := first[len(first)-1]
	if !verdict.Equal || verdict.Difference != "" || verdict.Failures < 1 || len(verdict.State) != 64 {
		t.Errorf("the verdict is %+v", verdict)
	}
	for _, e := range first[:len(first)-1] {
		again := map[string]int{"kill": 1, "drain": 0}[e.Kind]
		if e.Event != "failure" || e.Recovery <= 0 || e.StepsAgain != again || e.Rejoin <= 0 {
			t.Errorf("a failure is told as %+v", e)
		}
	}

	spoilCheckpoints(t, p.path("drills/*/checkpoints/step-00001500/model.safetensors"))
	c := p.run(append(drill, "--faults", "kill", "--count", "1")...).want(1)
	second := drillEvents(t, c.stdout.Bytes())
	if v := second[len(second)-1]; v.Equal || v.Difference == "" {
		t.Errorf("against a run with another state the verdict is %+v", v)
	}
}

// A drill that is interrupted, while it trains undisturbed or while it breaks nodes, says that
// nothing is proven, and leaves nothing behind.
func TestInterruptedDrill(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		steps string
		until func(place, *process)
	}{
		"undisturbed": {strconv.Itoa(endlessSteps), func(p place, _ *process) { p.await("tmp/parallax-chaos-*/ledger.db") }},
		"disturbed":   {"3000", func(_ place, c *process) { c.untilLine("      fault ") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.env = append(p.env, "TMPDIR="+p.path("tmp"))
			if err := os.Mkdir(p.path("tmp"), 0o755); err != nil {
				t.Fatal(err)
			}
			p.writeRun(50, 0)
			drill := p.start("chaos", "--nodes", "2", "--config", "run.toml", "--data", "text.txt", "--set", "train.reduction=sum-exact", "--steps", c.steps)
			c.until(p, drill)
			drill.signal(syscall.SIGINT)
			drill.wait().endsWith(75, "the drill was interrupted before its verdict", "run it again")
			if left, err := os.ReadDir(p.path("tmp")); err != nil || len(left) > 0 {
				t.Errorf("it leaves %v (%v)", left, err)
			}
		})
	}
}

// spoilCheckpoints changes a bit of each file.
func spoilCheckpoints(t *testing.T, pattern string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) != 2 { // undisturbed, and not
		t.Fatalf("the checkpoints are %v (%v)", files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)-1] ^= 1
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDrillRefuses(t *testing.T) {
	p := newPlace(t)
	p.writeRun(50, 0)
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--nodes", "1"}, "at least two nodes"},
		{[]string{"--count", "0"}, "must be 1 or more"},
		{[]string{"--faults", "kill,meteor"}, `no kind "meteor"; there are kill`},
		{[]string{"--set", "train.reduction=sum-f32"}, "sum-exact"},
	} {
		args := slices.Concat([]string{"chaos", "--config", "run.toml", "--data", "text.txt"}, c.args)
		p.run(args...).refuses(2, c.says)
	}
}

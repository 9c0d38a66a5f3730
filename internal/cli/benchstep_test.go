package cli_test

import (
	"encoding/json"
	"strings"
	"testing"

	"parallax/internal/bench"
)

// A measurement in JSON: what was measured on, then the step with its split.
func TestBenchStepJSON(t *testing.T) {
	t.Parallel()
	out := newPlace(t).run("bench", "step", "--preset", "tiny", "--threads", "1", "--steps", "1", "--warmup", "0", "--split", "--json",
		"--set", "model.layers=1", "--set", "train.seq_len=16").want(0).stdout.String()
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines: %s", len(lines), out)
	}
	var got struct {
		bench.StepResult
		Resident int64 `json:"resident_bytes"`
	}
	if err := json.Unmarshal([]byte(lines[1]), &got); err != nil {
		t.Fatal(err)
	}
	if got.Rate <= 0 || got.Resident <= 0 || len(got.Split) < 10 || got.Share <= 0 {
		t.Errorf("%s", lines[1])
	}
}

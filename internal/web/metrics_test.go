package web

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	pb "parallax/proto/parallax/v1"
)

func TestMetrics(t *testing.T) {
	run := newFeed()
	s, url := serve(t, Options{Run: run, Version: "v1"})
	run.add(notice("a", "a: reading", false), started(), view(), step(1), step(2), eval(2), look(2), notice("a", "a is late", true),
		&pb.RunEvent{Kind: &pb.RunEvent_Checkpoint{Checkpoint: &pb.CheckpointReport{Step: 2, Path: "p", Seconds: 0.25, Bytes: 4096}}},
		&pb.RunEvent{Kind: &pb.RunEvent_Checkpoint{Checkpoint: &pb.CheckpointReport{Step: 2, Error: "disk full"}}}, done())
	s.await(t, 11)
	_, text := get(t, url+"/metrics")
	for _, line := range []string{
		`parallax_build_info{version="v1"} 1`,
		`parallax_run_info{name="<first>",run="20261123-194946-7f3a",spec_hash="9ba6"} 1`,
		`parallax_step 2`, `parallax_planned_steps 1000`, `parallax_loss_nats 4.998`, `parallax_validation_loss_nats 4.5`,
		`parallax_steps_total 2`, `parallax_tokens_total 2000`, `parallax_flops_total 20000`, `parallax_wire_bytes_total 8192`,
		`parallax_step_seconds{part="compute"} 0.25`, `parallax_step_seconds{part="ring"} 0.125`, `parallax_step_seconds{part="other"} 0.03125`,
		`parallax_train_seconds_total{part="wait"} 0.125`, `parallax_train_seconds_total{part="update"} 0.0625`,
		`parallax_link_bytes{rank="1"} 3072`, `parallax_link_send_seconds{rank="0"} 0.25`, `parallax_link_receive_seconds{rank="0"} 0.5`,
		`parallax_rank_seconds{node="b",rank="1"} 0.5`,
		`parallax_members 2`, `parallax_generation 3`, `parallax_member_slots{device="cpu",host="h",node="b",rank="1"} 1`,
		`parallax_layers_step 2`, `parallax_layer_correction_ratio{layer="1"} 0.5`, `parallax_layer_stable_rank{layer="0",matrix="k"} 4`,
		`parallax_layer_attention_entropy_nats{layer="1"} 2`, `parallax_layer_first_token_ratio{layer="0"} 0.25`,
		`parallax_member_peak_flops_per_second{hardware="AVX-512, 2 threads",node="a",rank="0"} 2e+11`,
		`parallax_notices_total{warning="yes"} 1`, `parallax_notices_total{warning="no"} 1`,
		`parallax_checkpoint_step 2`, `parallax_checkpoint_bytes 4096`, `parallax_checkpoint_failures_total 1`, `parallax_finished 1`,
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("there is no line %s", line)
		}
	}
	if strings.Contains(text, `parallax_layer_correction_ratio{layer="0"}`) {
		t.Error("a layer without a probe has a correction")
	}
	checkByPromtool(t, text)
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	must(t, err)
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// checkByPromtool asks Prometheus's own tool where there is one.
func checkByPromtool(t *testing.T, text string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Log("promtool was not asked: there is none here (on Debian: apt-get install prometheus)")
		return
	}
	cmd := exec.Command(path, "check", "metrics")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// Before the run has begun there are no numbers that could be taken for it.
func TestMetricsBeforeTheRun(t *testing.T) {
	_, url := serve(t, Options{Run: newFeed()})
	_, text := get(t, url+"/metrics")
	for _, name := range []string{"parallax_step ", "parallax_loss_nats", "parallax_members", "parallax_run_info", "parallax_checkpoint_step"} {
		if strings.Contains(text, "\n"+name) {
			t.Errorf("there is %s already", name)
		}
	}
	if !strings.Contains(text, "\nparallax_tokens_total 0\n") || !strings.Contains(text, "\nparallax_finished 0\n") {
		t.Errorf("got %s", text)
	}
}

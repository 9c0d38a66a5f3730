package web

import (
	"encoding/json"
	"os"
	"regexp"
	"testing"

	pb "parallax/proto/parallax/v1"
)

// Whatever the dashboard for Grafana asks for is measured.
func TestTheDashboardAsksForWhatThereIs(t *testing.T) {
	text, err := os.ReadFile("../../docs/grafana.json")
	must(t, err)
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	must(t, json.Unmarshal(text, &dashboard))
	run := newFeed()
	s, url := serve(t, Options{Run: run})
	run.add(started(), view(), step(1), eval(1), look(1), &pb.RunEvent{Kind: &pb.RunEvent_Checkpoint{Checkpoint: &pb.CheckpointReport{Step: 1}}})
	s.await(t, 6)
	_, metrics := get(t, url+"/metrics")
	names := regexp.MustCompile(`parallax_[a-z_]+`)
	for _, p := range dashboard.Panels {
		if len(p.Targets) == 0 {
			t.Errorf("panel %q asks for nothing", p.Title)
		}
		for _, target := range p.Targets {
			for _, name := range names.FindAllString(target.Expr, -1) {
				if !regexp.MustCompile(`(?m)^` + name + `[ {]`).MatchString(metrics) {
					t.Errorf("panel %q asks for %s, which is not there", p.Title, name)
				}
			}
		}
	}
}

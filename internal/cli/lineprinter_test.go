package cli

import (
	"strings"
	"testing"
	"time"

	pb "parallax/proto/parallax/v1"
)

// TestLinePrinter: in a terminal a run is one line that changes, and elsewhere a line
// now and then; warnings are lines everywhere.
func TestLinePrinter(t *testing.T) {
	steps := func(p *linePrinter) {
		for i := int64(1); i <= 5; i++ {
			p.Event(&pb.RunEvent{UnixNanos: i * 4e9, Kind: &pb.RunEvent_Step{Step: &pb.StepSummary{Step: i, Steps: 5, Loss: 2}}})
		}
		p.Event(&pb.RunEvent{Kind: &pb.RunEvent_Notice{Notice: &pb.Notice{Text: "a died", Warning: true}}})
		p.Event(&pb.RunEvent{Kind: &pb.RunEvent_Notice{Notice: &pb.Notice{Text: "no warning"}}})
		p.Close()
	}
	for _, c := range []struct {
		live  bool
		every time.Duration
		want  string
	}{
		{false, 0, "x: a died\n"},
		{false, 10 * time.Second, "x: step 4 of 5, loss 2.0000\nx: a died\n"},
		{true, 10 * time.Second, "x: step 1 of 5, loss 2.0000\r\x1b[Kx: step 2 of 5, loss 2.0000\r\x1b[Kx: step 3 of 5, loss 2.0000" +
			"\r\x1b[Kx: step 4 of 5, loss 2.0000\r\x1b[Kx: step 5 of 5, loss 2.0000\r\x1b[Kx: a died\n"},
	} {
		var said strings.Builder
		steps(&linePrinter{title: "x", out: &said, live: c.live, every: c.every})
		if said.String() != c.want {
			t.Errorf("live %v, every %v: %q, want %q", c.live, c.every, said.String(), c.want)
		}
	}
}

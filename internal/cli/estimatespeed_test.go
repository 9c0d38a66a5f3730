package cli

import (
	"strings"
	"testing"

	"parallax/record"
)

// TestChoosePace takes the best rate among models of about the same size, and says
// why where there is none.
func TestChoosePace(t *testing.T) {
	small, other, large := pace{record.Run{ID: "small", Parameters: 10e6}, 5}, pace{record.Run{ID: "other", Parameters: 20e6}, 9}, pace{record.Run{ID: "large", Parameters: 600e6}, 70}
	all := []pace{small, other, large}
	for _, c := range []struct {
		paces      []pace
		parameters int64
		run, why   string
	}{
		{all, 12e6, "other", ""},
		{all, 3e6, "small", ""},
		{all, 900e6, "large", ""},
		{all, 100e9, "", "the nearest, large, has 600 M parameters, this one has 100 B"},
		{nil, 12e6, "", "no run of it has made steps on this hardware"},
	} {
		best, why := choosePace(c.paces, c.parameters)
		if best.run.ID != c.run || !strings.Contains(why, c.why) || (why == "") != (c.why == "") {
			t.Errorf("%d parameters: %q, %q, want %q, %q", c.parameters, best.run.ID, why, c.run, c.why)
		}
	}
}

// TestKindOfHardware leaves out how many threads a node had of its host.
func TestKindOfHardware(t *testing.T) {
	if kindOf("Some CPU, AVX2, 1 thread") != kindOf("Some CPU, AVX2, 16 threads") || kindOf("Some CPU, AVX2, 1 thread") == kindOf("Some CPU, AVX-512, 1 thread") {
		t.Error("kinds of hardware are mixed up")
	}
}

package cli

import (
	"testing"

	"parallax/internal/estimate"
)

// TestCollectorPercent leaves as much room for garbage beside any heap, in whole
// percents, and no more than Go would.
func TestCollectorPercent(t *testing.T) {
	for _, c := range []struct {
		inUse uint64
		want  int
	}{{0, 100}, {1 << 20, 100}, {estimate.Garbage, 100}, {4 * estimate.Garbage, 26}, {1 << 40, 1}} {
		if got := collectorPercent(c.inUse); got != c.want {
			t.Errorf("%d bytes in use: %d %%, want %d", c.inUse, got, c.want)
		}
	}
}

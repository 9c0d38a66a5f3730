// Package bench measures what a user waits for: single operations of a device
// (kernels.go) and whole training steps (step.go), against the device's peak,
// measured on the spot. A figure is the median of several runs, with the fastest
// and the slowest beside it; a machine that is busy with other things shows in
// their distance. The commands are internal/cli/bench.go.
package bench

import (
	"slices"
	"time"

	"parallax/internal/median"
)

// Spread is a figure over several runs: mostly a duration, in seconds.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// SpreadOf is that of one figure for each run.
func SpreadOf(figures []float64) Spread {
	return Spread{Median: median.Of(figures), Min: slices.Min(figures), Max: slices.Max(figures)}
}

// timed runs f once and returns the seconds it took.
func timed(f func() error) (float64, error) {
	began := time.Now()
	err := f()
	return time.Since(began).Seconds(), err
}

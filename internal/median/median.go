// Package median finds the middle of some figures.
package median

import "slices"

// Of is the middle one of the figures, or the mean of the middle two; 0 of none.
func Of(figures []float64) float64 {
	if len(figures) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(figures))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

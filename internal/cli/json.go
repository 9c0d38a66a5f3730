package cli

import "math"

// jsonNumber is x, or null where JSON has no such number.
func jsonNumber(x float64) any {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return x
}

package cli

import (
	"encoding/json"
	"io"
	"math"
)

// jsonNumber is x, or null where JSON has no such number.
func jsonNumber(x float64) any {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return x
}

// encodeLine writes a JSON object and ends the line.
func encodeLine(out io.Writer, v any) error { return json.NewEncoder(out).Encode(v) }

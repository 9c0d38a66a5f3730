// Package verify checks a host's attention kernels against reference tensors
// that somebody else computed.
//
// A reference is one safetensors file. Inputs: q, r [B, T, Hq, D] and k, v
// [B, T, Hkv, D]; r may be missing, which means softmax attention. Outputs, of
// which those present are compared: o, and with grad_o also grad_q, grad_r,
// grad_k, grad_v. Metadata: scale (default 1/sqrt(D)), window, cu_seqlens.
//
// [Open] reads and checks the file (reference.go), [Reference.Run] runs one
// backend on it (run.go). The formulas are those of kernels.Attention.
package verify

import "math"

// Comparison is how far one output is from its reference.
type Comparison struct {
	Output string
	// RelativeRMS is the root mean square of the error over that of the
	// reference.
	RelativeRMS float64
	// RelativeMax is the largest error over the largest magnitude of the
	// reference.
	RelativeMax float64
}

// Within says whether both measures are at most tol. NaN is not.
func (c Comparison) Within(tol float64) bool { return c.RelativeRMS <= tol && c.RelativeMax <= tol }

func compare(output string, got, want []float64) Comparison {
	var errSquares, squares, errMax, largest float64
	for i, w := range want {
		e := got[i] - w
		errSquares += e * e
		squares += w * w
		errMax = math.Max(errMax, math.Abs(e)) // keeps NaN
		largest = math.Max(largest, math.Abs(w))
	}
	return Comparison{Output: output, RelativeRMS: ratio(math.Sqrt(errSquares), math.Sqrt(squares)), RelativeMax: ratio(errMax, largest)}
}

// ratio is a/b, and 0 where nothing was expected and nothing came.
func ratio(a, b float64) float64 {
	if a == 0 && b == 0 {
		return 0
	}
	return a / b
}

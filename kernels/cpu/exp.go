package cpu

import "math"

// Constants of exp: exp(x) = 2^n exp(r) with n = round(x/ln 2) and
// r = x - n ln 2, |r| <= ln(2)/2, ln 2 in two parts so that n*ln2Hi is exact.
const (
	log2E  = 1.44269504088896341
	ln2Hi  = 0.693359375
	ln2Lo  = -2.12194440e-4
	expMin = -87.33654 // below, the result is 0: no denormals are made
	expMax = 88        // above, the result is e^88: 2^n stays in range
)

// expCoeffs is the polynomial of (exp(r) - 1 - r)/r^2, highest power first: the
// classic single-precision minimax coefficients of the Cephes library (Moshier).
var expCoeffs = [6]float32{1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3,
	4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1}

// expMaxRelError bounds exp32's relative error on [expMin, expMax].
const expMaxRelError = 2.0e-7

// exp32 is e^x, the scalar twin of the vector exponentials.
func exp32(x float32) float32 {
	switch {
	case x < expMin:
		return 0
	case x > expMax:
		x = expMax
	case x != x:
		return x
	}
	n := float32(math.RoundToEven(float64(x * log2E)))
	r := x - n*ln2Hi
	r -= n * ln2Lo
	p := expCoeffs[0]
	for _, c := range expCoeffs[1:] {
		p = p*r + c
	}
	p = p*(r*r) + r + 1
	return p * math.Float32frombits(uint32(int32(n)+127)<<23)
}

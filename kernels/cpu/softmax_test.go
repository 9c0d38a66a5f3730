package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// Rows that come block by block have the sums of whole rows, though a later block raises the
// reference of some of them; what lies between rows is left alone.
func TestTermsOfBlocks(t *testing.T) {
	const rows, stride = 5, 48
	for _, set := range availableSets() {
		for _, n := range []int{1, 7, 16, 45} {
			t.Run(fmt.Sprintf("%s/%d", set.key, n), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(3, uint64(n)))
				x := newTermRows(rows)
				for block := range 3 {
					s, p := make([]float32, rows*stride), make([]float32, rows*stride)
					for i := range s {
						row := i / stride
						s[i], p[i] = float32(rng.NormFloat64())+float32(12*block*row), float32(rng.NormFloat64())
					}
					x.add(s, p, stride, n)
					whole := append([]float32(nil), s...)
					set.softmaxTerms(whole, stride, n, x.plainM, x.plainSum, x.scale)
					set.parallaxTerms(s, p, stride, n, x.shift, x.m, x.sum, x.dot, x.scale)
					for i := range s {
						if inside := i%stride < n; inside && whole[i] != s[i] || !inside && s[i] != whole[i] {
							t.Fatalf("block %d: e of element %d is %g without t, %g with it", block, i, whole[i], s[i])
						}
					}
				}
				x.check(t)
			})
		}
	}
}

// termRows are running sums, and the same in float64 relative to no reference.
type termRows struct {
	shift, m, sum, dot, scale, plainM, plainSum []float32
	wantSum, wantDot                            []float64
}

func newTermRows(rows int) *termRows {
	x := &termRows{wantSum: make([]float64, rows), wantDot: make([]float64, rows)}
	for _, s := range []*[]float32{&x.shift, &x.m, &x.sum, &x.dot, &x.scale, &x.plainM, &x.plainSum} {
		*s = make([]float32, rows)
	}
	for i := range rows {
		x.shift[i], x.m[i], x.plainM[i] = float32(i), float32(math.Inf(-1)), float32(math.Inf(-1))
	}
	return x
}

func (x *termRows) add(s, p []float32, stride, n int) {
	for i := range x.m {
		for j := range n {
			e := math.Exp(float64(s[i*stride+j]))
			x.wantSum[i] += e
			x.wantDot[i] += e * float64(p[i*stride+j]-x.shift[i])
		}
	}
}

func (x *termRows) check(t *testing.T) {
	t.Helper()
	for i := range x.m {
		lse, tbar := float64(x.m[i])+math.Log(float64(x.sum[i])), float64(x.dot[i]/x.sum[i])
		if want := math.Log(x.wantSum[i]); math.Abs(lse-want) > 1e-5*math.Max(1, math.Abs(want)) {
			t.Errorf("row %d: log of the sum is %g, not %g", i, lse, want)
		}
		if want := x.wantDot[i] / x.wantSum[i]; math.Abs(tbar-want) > 1e-5*math.Max(1, math.Abs(want)) {
			t.Errorf("row %d: the mean of t is %g, not %g", i, tbar, want)
		}
		if x.plainM[i] != x.m[i] || math.Abs(float64(x.plainSum[i]/x.sum[i])-1) > 1e-6 {
			t.Errorf("row %d: sum %g relative to %g without t, %g relative to %g with it", i, x.plainSum[i], x.plainM[i], x.sum[i], x.m[i])
		}
	}
}

package kerneltest

import (
	"strings"
	"testing"

	"parallax/kernels"
	"parallax/kernels/ref"
)

// laned is the oracle with lanes of some making.
type laned struct {
	kernels.Backend
	deal func(be kernels.Backend, n int, sequence func(be kernels.Backend, lane, i int))
}

func (l laned) Lanes() int { return 3 }

func (l laned) Deal(n int, sequence func(be kernels.Backend, lane, i int)) {
	l.deal(l.Backend, n, sequence)
}

func TestSuiteCatchesBrokenLanes(t *testing.T) {
	for name, test := range map[string]struct {
		want string
		deal func(be kernels.Backend, n int, sequence func(be kernels.Backend, lane, i int))
	}{
		"as they should be": {"", func(be kernels.Backend, n int, sequence func(kernels.Backend, int, int)) {
			for i := range n {
				sequence(be, i%3, i)
			}
		}},
		"the last one is left out": {"sequence 18 of 19 was called 0 times", func(be kernels.Backend, n int, sequence func(kernels.Backend, int, int)) {
			for i := range n - 1 {
				sequence(be, 0, i)
			}
		}},
		"a lane too many": {"in lane 3 of 3", func(be kernels.Backend, n int, sequence func(kernels.Backend, int, int)) {
			for i := range n {
				sequence(be, i%4, i)
			}
		}},
		"two sequences in a lane": {"two sequences at a time in lane 1", func(be kernels.Backend, n int, sequence func(kernels.Backend, int, int)) {
			nested := false
			for i := range n - 1 {
				sequence(hook{be, func() {
					if !nested {
						nested = true
						sequence(be, 1, n-1)
					}
				}}, 1, i)
			}
		}},
		"a lane that computes otherwise": {"sequence 0, element 0", func(be kernels.Backend, n int, sequence func(kernels.Backend, int, int)) {
			for i := range n {
				sequence(&mutant{Backend: be, matmul: func(m *mutant, op kernels.MatMul) {
					op.Alpha *= 1 + 1e-12
					m.Backend.MatMul(op)
				}}, 2, i)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			err := checkLanes(laned{ref.New(), test.deal})
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error %v, want one that says %q", err, test.want)
			}
		})
	}
}

// hook calls back before each product.
type hook struct {
	kernels.Backend
	before func()
}

func (h hook) MatMul(op kernels.MatMul) {
	h.before()
	h.Backend.MatMul(op)
}

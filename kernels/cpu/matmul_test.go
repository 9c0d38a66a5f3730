package cpu

import (
	"fmt"
	"testing"

	"parallax/kernels"
)

func TestMatMul(t *testing.T) {
	for _, s := range [][3]int{{1, 1, 1}, {5, 7, 3}, {12, 32, 64}, {97, 65, 33}, {130, 513, 20}, {50, 40, 900}, {3, 2, 0}} {
		for flags := range 4 {
			t.Run(fmt.Sprint(s, flags), func(t *testing.T) {
				agree(t, 2e-6, func(d *device) { matmul(d, s[0], s[1], s[2], flags&1 == 1, flags&2 == 2) })
			})
		}
	}
}

// matmul is a product with a residual, whose operands have padded rows.
func matmul(d *device, m, n, k int, transA, transB bool) {
	const pad = 3
	padded := func(rows, cols int) kernels.Matrix { return d.inMat(rows, cols+pad).Columns(0, cols) }
	op := kernels.MatMul{TransA: transA, TransB: transB, Alpha: 0.5, Beta: -1.5, A: padded(m, k), B: padded(k, n)}
	if transA {
		op.A = padded(k, m)
	}
	if transB {
		op.B = padded(n, k)
	}
	op.C, op.Add = d.outMat(m, n+pad).Columns(0, n), d.inMat(m, n)
	d.MatMul(op)
}

func TestMatMulAccumulatesInPlace(t *testing.T) {
	agree(t, 2e-6, func(d *device) {
		c := d.outMat(100, 70)
		d.MatMul(kernels.MatMul{C: c, A: d.inMat(100, 500), B: d.inMat(500, 70), Alpha: 1, Beta: 1, Add: c})
	})
}

func TestMatMulSymmetric(t *testing.T) {
	for _, n := range []int{1, 31, 96, 200} {
		agree(t, 2e-6, func(d *device) {
			a := d.inMat(n, 150)
			d.MatMul(kernels.MatMul{C: d.outMat(n, n), A: a, B: a, TransB: true, Alpha: 1, Symmetric: true})
		})
	}
}

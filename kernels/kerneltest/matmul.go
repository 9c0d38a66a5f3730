package kerneltest

import (
	"fmt"
	"math/rand/v2"

	"parallax/kernels"
)

// product is one matrix product to try.
type product struct {
	m, n, k        int
	transA, transB bool
	alpha, beta    float64
	addIsC         bool // Add is C itself, with a beta
	masterC        bool // C and Add are of the Master type
	layouts        []layout
}

func (p product) String() string {
	side := map[bool]string{false: "N", true: "T"}
	s := fmt.Sprintf("matmul %s%s %dx%dx%d alpha %g beta %g", side[p.transA], side[p.transB], p.m, p.n, p.k, p.alpha, p.beta)
	if p.addIsC {
		s += " in place"
	}
	if p.masterC {
		s += " to master"
	}
	if p.layouts != nil {
		s += " strided"
	}
	return s
}

func (p product) check() check {
	return check{name: p.String(), layouts: p.layouts, large: p.m*p.n*p.k > 2_000_000, program: p.run}
}

func (p product) run(d *device) {
	op := kernels.MatMul{TransA: p.transA, TransB: p.transB, Alpha: p.alpha, Beta: p.beta}
	op.A = d.transposed("A", p.m, p.k, p.transA)
	op.B = d.transposed("B", p.k, p.n, p.transB)
	result := d.compute
	if p.masterC {
		result = d.master
	}
	op.C = result("C", p.m, p.n, p.start())
	switch {
	case p.addIsC:
		op.Add = op.C
	case p.beta != 0:
		op.Add = result("Add", p.m, p.n, normal(1))
	}
	d.MatMul(op)
}

// start is what C holds before: NaN unless it is read.
func (p product) start() fill {
	if p.addIsC && p.beta != 0 {
		return normal(1)
	}
	return unwritten
}

func (d *device) transposed(name string, rows, cols int, transpose bool) kernels.Matrix {
	if transpose {
		rows, cols = cols, rows
	}
	return d.compute(name, rows, cols, normal(1))
}

func matmulChecks() []check {
	var checks []check
	for _, products := range [][]product{tinyProducts(), randomProducts(160), chosenProducts()} {
		for _, p := range products {
			checks = append(checks, p.check())
		}
	}
	return append(checks, symmetricChecks()...)
}

// tinyProducts are all transposes of all tiny shapes.
func tinyProducts() []product {
	var all []product
	sizes := []int{1, 2, 3, 5}
	for _, m := range sizes {
		for _, n := range sizes {
			for _, k := range sizes {
				for trans := range 4 {
					all = append(all, product{m: m, n: n, k: k, transA: trans&1 != 0, transB: trans&2 != 0, alpha: 1})
				}
			}
		}
	}
	return all
}

// randomProducts draws everything, from a fixed seed.
func randomProducts(count int) []product {
	rng := rand.New(rand.NewPCG(1, 2))
	sizes := []int{1, 2, 3, 5, 8, 13, 31, 32, 33, 64, 100, 257, 384}
	size := func() int { return sizes[rng.IntN(len(sizes))] }
	coin := func() bool { return rng.IntN(2) == 0 }
	var all []product
	for len(all) < count {
		p := product{m: size(), n: size(), k: size(), transA: coin(), transB: coin(), alpha: []float64{1, -1, 0.5}[rng.IntN(3)]}
		p.beta = []float64{0, 1, -0.25}[rng.IntN(3)]
		p.addIsC, p.masterC = coin(), coin()
		if coin() {
			p.layouts = mixed
		}
		if p.m*p.n*p.k <= 1_500_000 {
			all = append(all, p)
		}
	}
	return all
}

// chosenProducts are the shapes that matter and those that break things: each
// transpose beyond one block of any size, a weight gradient (TN, accumulated, long
// in K), a matrix times a vector, and empty sides.
func chosenProducts() []product {
	all := []product{
		{m: 96, n: 64, k: 1025, transA: true, alpha: 1, beta: 1, addIsC: true, masterC: true},
		{m: 13, n: 33, k: 513, transA: true, alpha: 1, beta: 1, addIsC: true, masterC: true, layouts: mixed},
		{m: 1, n: 384, k: 257, alpha: 1},
		{m: 384, n: 1, k: 257, transB: true, alpha: 1},
		{m: 3, n: 4, k: 0, alpha: 1},
		{m: 3, n: 4, k: 0, alpha: 1, beta: 2},
		{m: 3, n: 4, k: 0, transA: true, transB: true, alpha: 1, beta: 2, addIsC: true, layouts: mixed},
		{m: 0, n: 4, k: 3, alpha: 1},
		{m: 3, n: 0, k: 3, alpha: 1},
		{m: 33, n: 31, k: 8, alpha: 0, beta: 1},
	}
	for trans := range 4 {
		p := product{m: 257, n: 384, k: 100, transA: trans&1 != 0, transB: trans&2 != 0, alpha: 1}
		all = append(all, p)
		p.m, p.n, p.k, p.beta, p.addIsC, p.layouts = 131, 257, 384, 1, true, mixed
		all = append(all, p)
	}
	return all
}

// symmetricChecks are the products of Newton-Schulz: X X^T, and b A + c A A.
func symmetricChecks() []check {
	var checks []check
	for _, n := range []int{1, 2, 5, 16, 33, 64, 129} {
		for _, layouts := range [][]layout{nil, mixed} {
			strides := map[bool]string{false: "", true: " strided"}[layouts != nil]
			checks = append(checks, check{
				name:    fmt.Sprintf("matmul X X^T %dx%dx%d symmetric%s", n, n, n+7, strides),
				layouts: layouts,
				program: func(d *device) { gram(d, n, n+7) },
			}, check{
				name:    fmt.Sprintf("matmul b A + c A A %dx%d symmetric%s", n, n, strides),
				layouts: layouts,
				program: func(d *device) { polynomial(d, n) },
			})
		}
	}
	return checks
}

// gram is X X^T, returned.
func gram(d *device, n, k int) kernels.Matrix {
	x := d.compute("X", n, k, normal(1))
	a := d.compute("A", n, n, unwritten)
	d.MatMul(kernels.MatMul{C: a, A: x, B: x, TransB: true, Alpha: 1, Symmetric: true})
	return a
}

// polynomial reads one matrix three times: as A, as B and as Add.
func polynomial(d *device, n int) {
	a := gram(d, n, n+7)
	c := d.compute("C", n, n, unwritten)
	d.MatMul(kernels.MatMul{C: c, A: a, B: a, Alpha: 2.0315 / float64(n), Beta: -4.775, Add: a, Symmetric: true})
}

package optimizer

import "parallax/kernels"

// coefficients are of one step X <- a X + b (X X^T) X + c (X X^T)^2 X.
type coefficients struct{ a, b, c float64 }

// coefficientSet is a sequence of steps, of odd number, and what the Frobenius norm
// is multiplied by before the matrix is divided by it.
type coefficientSet struct {
	steps  [5]coefficients
	factor float64
}

var quintic = coefficients{3.4445, -4.7750, 2.0315}

// The quintic is Jordan et al. 2024's ("Muon"), whose singular values end between
// about 0.7 and 1.2. Polar Express is Amsel et al. 2025's (arXiv 2505.16932), made
// for singular values from 1e-3 to 1.
var coefficientSets = map[string]coefficientSet{
	"quintic": {[5]coefficients{quintic, quintic, quintic, quintic, quintic}, 1},
	"polar-express": {[5]coefficients{
		{8.156554524902461, -22.48329292557795, 15.878769915207462},
		{4.042929935166739, -2.808917465908714, 0.5000178451051316},
		{3.8916678022926607, -2.772484153217685, 0.5060648178503393},
		{3.285753657755655, -2.3681294933425376, 0.46449024233003106},
		{2.3465413258596377, -1.7097828382687081, 0.42323551169305323},
	}, 1.01},
}

// newtonSchulz orthogonalises matrices: it replaces the singular values by numbers
// near 1. Its scratch is as large as the largest matrix needs.
type newtonSchulz struct {
	set        coefficientSet
	x          kernels.Buffer // Compute, the iterate
	gram, poly kernels.Buffer // Compute, min(rows, cols) squared
	squares    kernels.Buffer // [1] Master
}

// iteration is one matrix on its way: every step reads one of x and y, and writes
// the other.
type iteration struct {
	u          kernels.Buffer // Master, what is orthogonalised
	x, y       kernels.Matrix // scratch, and where the result goes
	gram, poly kernels.Matrix // scratch
	tall       bool
}

// prepare is for u, rows x cols of the Master type, and dst, of the Compute type.
func (ns *newtonSchulz) prepare(dst, u kernels.Buffer, rows, cols int) iteration {
	m := min(rows, cols)
	return iteration{
		u: u, x: kernels.Mat(ns.x.Slice(0, rows*cols), rows, cols), y: kernels.Mat(dst, rows, cols),
		gram: kernels.Mat(ns.gram.Slice(0, m*m), m, m), poly: kernels.Mat(ns.poly.Slice(0, m*m), m, m),
		tall: rows > cols,
	}
}

// orthogonalize writes the orthogonalised u to y.
func (ns *newtonSchulz) orthogonalize(be kernels.Backend, it *iteration) {
	x, y := it.x, it.y
	be.SumSquares(ns.squares, it.u, false)
	be.Normalize(kernels.Normalize{Y: x.Buf, X: it.u, SumSquares: ns.squares, Factor: ns.set.factor, Eps: 1e-7})
	for _, k := range ns.set.steps {
		it.step(be, y, x, k)
		x, y = y, x
	}
}

// step writes one step from x to y, in three products. For a tall x it is the
// products of x^T, read transposed: y = a x + x (b X + c X^2) with X = x^T x.
func (it *iteration) step(be kernels.Backend, y, x kernels.Matrix, k coefficients) {
	be.MatMul(kernels.MatMul{C: it.gram, A: x, B: x, TransA: it.tall, TransB: !it.tall, Alpha: 1, Symmetric: true})
	be.MatMul(kernels.MatMul{C: it.poly, A: it.gram, B: it.gram, Alpha: k.c, Beta: k.b, Add: it.gram, Symmetric: true})
	last := kernels.MatMul{C: y, A: it.poly, B: x, Alpha: 1, Beta: k.a, Add: x}
	if it.tall {
		last.A, last.B = x, it.poly
	}
	be.MatMul(last)
}

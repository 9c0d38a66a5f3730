package ref

import "parallax/kernels"

// MatMul is C = Alpha op(A) op(B) + Beta Add. An empty sum (K = 0) is 0.
func (b *Backend) MatMul(op kernels.MatMul) {
	kernels.Must(op.Check())
	m, n, k := op.Dims()
	c, left, right := b.mat(op.C), b.operand(op.A, op.TransA), b.operand(op.B, op.TransB)
	var add mat
	if op.Beta != 0 {
		add = b.mat(op.Add)
	}
	b.enqueue(func() error {
		for i := range m {
			for j := range n {
				sum := 0.0
				for l := range k {
					sum += left.at(i, l) * right.at(l, j)
				}
				sum *= op.Alpha
				if op.Beta != 0 {
					sum += op.Beta * add.at(i, j)
				}
				c.set(i, j, sum)
			}
		}
		return nil
	})
}

// operand is a matrix read as it is or transposed.
type operand struct {
	x              []float64
	perRow, perCol int
}

func (o operand) at(i, j int) float64 { return o.x[i*o.perRow+j*o.perCol] }

func (b *Backend) operand(arg kernels.Matrix, transpose bool) operand {
	m := b.mat(arg)
	if transpose {
		return operand{m.x, 1, m.stride}
	}
	return operand{m.x, m.stride, 1}
}

func dot(x, y []float64) float64 {
	sum := 0.0
	for i := range x {
		sum += x[i] * y[i]
	}
	return sum
}

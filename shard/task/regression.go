package task

import (
	"fmt"
	"math/rand/v2"
)

// Regression is in-context linear regression (Garg et al. 2022, arXiv
// 2208.01066) in whole numbers, so that it has an exact answer in tokens. A
// weight vector w of [-MaxWeight, MaxWeight]^Dim is drawn for the sequence, and
// examples x of [-MaxInput, MaxInput]^Dim with y = w.x follow one another:
//
//	x1 x2 y x1 x2 y x1 x2 y ...
//
// The first Dim examples are linearly independent and so determine w; scored is
// every later y, at the last x before it. Inputs are the tokens
// x+MaxInput in [0, 2*MaxInput], outputs the ones after these.
type Regression struct {
	Dim                 int
	MaxWeight, MaxInput int
}

// Name implements [Generator].
func (Regression) Name() string { return "in-context-regression" }

// Vocabulary implements [Generator].
func (g Regression) Vocabulary() int { return g.inputs() + 2*g.maxOutput() + 1 }

func (g Regression) inputs() int    { return 2*g.MaxInput + 1 }
func (g Regression) maxOutput() int { return g.Dim * g.MaxWeight * g.MaxInput }

// Check implements [Generator].
func (g Regression) Check(seqLen int) error {
	switch {
	case g.Dim < 1 || g.Dim > 16 || min(g.MaxWeight, g.MaxInput) < 1 || max(g.MaxWeight, g.MaxInput) > 1000:
		return fmt.Errorf("dimension %d, weights to %d, inputs to %d: the dimension must be in 1..16, the others in 1..1000", g.Dim, g.MaxWeight, g.MaxInput)
	case seqLen < g.Dim*(g.Dim+2):
		return fmt.Errorf("%d examples and a question in dimension %d need sequences of at least %d, not %d", g.Dim, g.Dim, g.Dim*(g.Dim+2), seqLen)
	}
	return nil
}

// Generate implements [Generator].
func (g Regression) Generate(r *rand.Rand, tokens, targets []int32) {
	w := g.vector(r, g.MaxWeight)
	basis := g.basis(r)
	for example, i := 0, 0; i < len(tokens); example++ {
		x := g.vector(r, g.MaxInput)
		if example < g.Dim {
			x = basis[example]
		}
		y := 0
		for d := range x {
			y += w[d] * x[d]
		}
		answer := int32(g.inputs() + g.maxOutput() + y)
		for d := 0; d < g.Dim && i < len(tokens); d++ {
			tokens[i] = int32(g.MaxInput + x[d])
			if d == g.Dim-1 && example >= g.Dim {
				targets[i] = answer
			}
			i++
		}
		if i < len(tokens) {
			tokens[i] = answer
			i++
		}
	}
}

// vector draws Dim numbers of [-limit, limit].
func (g Regression) vector(r *rand.Rand, limit int) []int {
	v := make([]int, g.Dim)
	for i := range v {
		v[i] = r.IntN(2*limit+1) - limit
	}
	return v
}

// basis draws Dim linearly independent inputs.
func (g Regression) basis(r *rand.Rand) [][]int {
	for {
		rows := make([][]int, g.Dim)
		for i := range rows {
			rows[i] = g.vector(r, g.MaxInput)
		}
		if independent(rows) {
			return rows
		}
	}
}

// independent reports whether the rows of a square matrix are linearly
// independent, by Gaussian elimination modulo a prime: a determinant that is not
// 0 modulo the prime is not 0.
func independent(rows [][]int) bool {
	const prime = 1<<31 - 1
	m := make([][]int64, len(rows))
	for i, row := range rows {
		m[i] = make([]int64, len(row))
		for j, v := range row {
			m[i][j] = (int64(v) + prime) % prime
		}
	}
	for col := range m {
		pivot := col
		for pivot < len(m) && m[pivot][col] == 0 {
			pivot++
		}
		if pivot == len(m) {
			return false
		}
		m[col], m[pivot] = m[pivot], m[col]
		for row := col + 1; row < len(m); row++ {
			// row = row * pivot - pivot row * lead, without a division
			a, b := m[col][col], m[row][col]
			for j := col; j < len(m); j++ {
				m[row][j] = ((m[row][j]*a-m[col][j]*b)%prime + prime) % prime
			}
		}
	}
	return true
}

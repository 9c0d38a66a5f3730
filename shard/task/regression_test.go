package task

import "testing"

// The oracle tries every weight vector and answers where all that fit agree.
func TestRegressionSolved(t *testing.T) {
	g := Regression{Dim: 2, MaxWeight: 2, MaxInput: 3}
	for _, seqLen := range []int{8, 31} {
		for _, p := range problems(t, g, seqLen, 100) {
			check(t, g, p, solveRegression(g, p.tokens))
		}
	}
}

func solveRegression(g Regression, tokens []int32) []int32 {
	answers := unknown(len(tokens))
	var fitting [][2]int
	for a := -g.MaxWeight; a <= g.MaxWeight; a++ {
		for b := -g.MaxWeight; b <= g.MaxWeight; b++ {
			fitting = append(fitting, [2]int{a, b})
		}
	}
	for i := 1; i < len(tokens); i += 3 {
		x1, x2 := int(tokens[i-1])-g.MaxInput, int(tokens[i])-g.MaxInput
		token := func(w [2]int) int32 { return int32(2*g.MaxInput + 1 + 2*g.MaxWeight*g.MaxInput + w[0]*x1 + w[1]*x2) }
		if i >= 3*g.Dim {
			if len(fitting) != 1 {
				return nil
			}
			answers[i] = token(fitting[0])
		}
		if i+1 == len(tokens) {
			break
		}
		var left [][2]int
		for _, w := range fitting {
			if token(w) == tokens[i+1] {
				left = append(left, w)
			}
		}
		fitting = left
	}
	return answers
}

func TestIndependent(t *testing.T) {
	for _, c := range []struct {
		rows [][]int
		want bool
	}{
		{[][]int{{1}}, true},
		{[][]int{{0}}, false},
		{[][]int{{0, 1}, {1, 0}}, true},
		{[][]int{{2, -4}, {-1, 2}}, false},
		{[][]int{{1, 2, 3}, {4, 5, 6}, {7, 8, 9}}, false},
		{[][]int{{1, 2, 3}, {4, 5, 6}, {7, 8, 10}}, true},
		{[][]int{{0, 0, 1}, {0, 1, 0}, {0, 5, 7}}, false},
	} {
		if got := independent(c.rows); got != c.want {
			t.Errorf("independent(%v) = %v", c.rows, got)
		}
	}
}

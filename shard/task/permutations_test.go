package task

import (
	"slices"
	"testing"
)

// The oracle moves labelled things about and looks where each has gone.
func TestPermutationsSolved(t *testing.T) {
	for degree := 2; degree <= 5; degree++ {
		g := Permutations{Degree: degree}
		table := lexicographic(degree)
		if len(table) != g.Vocabulary() {
			t.Fatalf("%d permutations of %d, vocabulary %d", len(table), degree, g.Vocabulary())
		}
		for _, p := range problems(t, g, 20, 50) {
			answers := make([]int32, len(p.tokens))
			place := slices.Clone(table[0]) // of every thing
			for i, token := range p.tokens {
				for thing := range place {
					place[thing] = table[token][place[thing]]
				}
				answers[i] = int32(slices.IndexFunc(table, func(q []int) bool { return slices.Equal(q, place) }))
			}
			check(t, g, p, answers)
		}
	}
}

// lexicographic lists the permutations of n things in order, by
// lengthening words letter by letter.
func lexicographic(n int) [][]int {
	words := [][]int{{}}
	for range n {
		var longer [][]int
		for _, w := range words {
			for letter := range n {
				if !slices.Contains(w, letter) {
					longer = append(longer, append(slices.Clone(w), letter))
				}
			}
		}
		words = longer
	}
	return words
}

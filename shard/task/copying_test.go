package task

import "testing"

func TestSelectiveCopySolved(t *testing.T) {
	g := SelectiveCopy{Symbols: 7, Count: 5}
	for _, seqLen := range []int{10, 40} {
		for _, p := range problems(t, g, seqLen, 100) {
			var seen []int32
			answers := unknown(seqLen)
			copying := false
			for i, token := range p.tokens {
				if int(token) == g.Symbols+1 {
					copying = true
				}
				switch {
				case copying:
					answers[i] = seen[0]
					seen = seen[1:]
				case int(token) < g.Symbols:
					seen = append(seen, token)
				}
			}
			if len(seen) != 0 {
				t.Fatalf("%d symbols are not copied: %v", len(seen), p.tokens)
			}
			check(t, g, p, answers)
		}
	}
}

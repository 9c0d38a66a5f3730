package task

import "testing"

func TestAssociativeRecallSolved(t *testing.T) {
	for _, seqLen := range []int{13, 64} {
		g := AssociativeRecall{Keys: 10, Values: 5, Pairs: 6}
		for _, p := range problems(t, g, seqLen, 100) {
			value, answers := map[int32]int32{}, unknown(seqLen)
			for i := 0; i < seqLen; i += 2 {
				key := p.tokens[i]
				if i < 2*g.Pairs {
					if _, twice := value[key]; twice {
						t.Fatalf("key %d is defined twice: %v", key, p.tokens)
					}
					value[key] = p.tokens[i+1]
					continue
				}
				answers[i] = value[key]
				if i+1 < seqLen && p.tokens[i+1] != value[key] {
					t.Fatalf("key %d is answered by %d: %v", key, p.tokens[i+1], p.tokens)
				}
			}
			check(t, g, p, answers)
		}
	}
}

func TestNoisyRecallSolved(t *testing.T) {
	g := NoisyRecall{Keys: 6, Values: 4, Noise: 3, Share: 0.3}
	const seqLen = 63
	noise := 0
	for _, p := range problems(t, g, seqLen, 200) {
		value, answers := map[int32]int32{}, unknown(seqLen)
		for i := 0; i < seqLen; i++ {
			token := p.tokens[i]
			if int(token) >= g.Keys+g.Values {
				noise++
				continue
			}
			if int(token) >= g.Keys {
				t.Fatalf("value %d at %d follows no key: %v", token, i, p.tokens)
			}
			if v, shown := value[token]; shown {
				answers[i] = v
			}
			i++
			value[token] = p.tokens[i]
		}
		check(t, g, p, answers)
	}
	// 0.3 of the draws are noise: 0.3/(0.3+2*0.7) of the tokens.
	if share := float64(noise) / (200 * seqLen); share < 0.15 || share > 0.21 {
		t.Errorf("%.3f of the tokens are noise, want 0.176", share)
	}
}

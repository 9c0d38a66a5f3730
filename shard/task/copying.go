package task

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// SelectiveCopy is selective copying (Gu and Dao 2023, "Mamba", arXiv
// 2312.00752): Count symbols stand at random places among blanks; after a
// separator they are to be repeated in order.
//
//	. a . . b . c . | a b c
//	          scored: a b c  (at | a b)
//
// The sequence ends with the last symbol but one, after which the last one is
// the target. Symbols are the tokens [0, Symbols), then blank, then separator.
type SelectiveCopy struct {
	Symbols int // different ones
	Count   int // to be copied
}

// Name implements [Generator].
func (SelectiveCopy) Name() string { return "selective-copying" }

// Vocabulary implements [Generator].
func (g SelectiveCopy) Vocabulary() int { return g.Symbols + 2 }

// Check implements [Generator].
func (g SelectiveCopy) Check(seqLen int) error {
	switch {
	case g.Symbols < 1 || g.Count < 1:
		return fmt.Errorf("%d of %d symbols: it needs at least one", g.Count, g.Symbols)
	case seqLen < 2*g.Count:
		return fmt.Errorf("%d symbols and their copies need sequences of at least %d, not %d", g.Count, 2*g.Count, seqLen)
	}
	return nil
}

// Generate implements [Generator].
func (g SelectiveCopy) Generate(r *rand.Rand, tokens, targets []int32) {
	blank, separator := int32(g.Symbols), int32(g.Symbols+1)
	field := len(tokens) - g.Count // where the symbols are strewn; the separator follows
	for i := range field {
		tokens[i] = blank
	}
	places := distinct(r, g.Count, field)
	slices.Sort(places)
	tokens[field] = separator
	for n, place := range places {
		symbol := int32(r.IntN(g.Symbols))
		tokens[place] = symbol
		targets[field+n] = symbol
		if n+1 < g.Count {
			tokens[field+n+1] = symbol
		}
	}
}

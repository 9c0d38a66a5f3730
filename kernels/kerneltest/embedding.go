package kerneltest

import (
	"fmt"

	"parallax/kernels"
)

// lookup is one Embedding, or its gradient.
type lookup struct {
	rows, vocabulary, width int
	layouts                 []layout
}

func (l lookup) checks() []check {
	shape := fmt.Sprintf("n %d vocabulary %d width %d", l.rows, l.vocabulary, l.width)
	if l.layouts != nil {
		shape += " strided"
	}
	return []check{
		{name: "embedding " + shape, class: exact, layouts: l.layouts, program: l.forward},
		{name: "embedding backward " + shape, class: compute, layouts: l.layouts, program: l.backward},
	}
}

func (l lookup) forward(d *device) {
	d.Embedding(kernels.Embedding{
		Y:      d.compute("Y", l.rows, l.width, unwritten),
		W:      d.compute("W", l.vocabulary, l.width, normal(1)),
		Tokens: l.tokens(d),
	})
}

func (l lookup) backward(d *device) {
	d.EmbeddingBackward(kernels.EmbeddingBackward{
		DW:     d.master("DW", l.vocabulary, l.width, normal(1)),
		DY:     d.compute("DY", l.rows, l.width, normal(1)),
		Tokens: l.tokens(d),
	})
}

// tokens are random, with the last of the vocabulary first and then a run of one
// token, so that threads meet in one row.
func (l lookup) tokens(d *device) kernels.Buffer {
	tokens := make([]int32, l.rows)
	for i := range tokens {
		tokens[i] = int32(d.rng.IntN(l.vocabulary))
		if i%3 == 1 {
			tokens[i] = int32(l.vocabulary / 2)
		}
	}
	tokens[0] = int32(l.vocabulary - 1)
	return d.ints(tokens)
}

func embeddingChecks() []check {
	var checks []check
	for _, l := range []lookup{
		{rows: 1, vocabulary: 1, width: 1},
		{rows: 5, vocabulary: 3, width: 2},
		{rows: 64, vocabulary: 7, width: 33},
		{rows: 257, vocabulary: 100, width: 64},
		{rows: 300, vocabulary: 2, width: 17},
		{rows: 130, vocabulary: 5000, width: 48},
	} {
		checks = append(checks, l.checks()...)
		l.layouts = mixed
		checks = append(checks, l.checks()...)
	}
	return checks
}

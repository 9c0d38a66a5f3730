package ref

import (
	"fmt"

	"parallax/kernels"
)

// Embedding looks rows up.
func (b *Backend) Embedding(op kernels.Embedding) {
	kernels.Must(op.Check())
	y, w, tokens := b.mat(op.Y), b.mat(op.W), b.ints(op.Tokens)
	b.enqueue(func() error {
		for n, token := range tokens {
			if err := checkToken("embedding: token", n, token, w.rows); err != nil {
				return err
			}
			for j := range w.cols {
				y.set(n, j, w.at(int(token), j))
			}
		}
		return nil
	})
}

// EmbeddingBackward adds rows up.
func (b *Backend) EmbeddingBackward(op kernels.EmbeddingBackward) {
	kernels.Must(op.Check())
	dw, dy, tokens := b.mat(op.DW), b.mat(op.DY), b.ints(op.Tokens)
	b.enqueue(func() error {
		for n, token := range tokens {
			if err := checkToken("embedding backward: token", n, token, dw.rows); err != nil {
				return err
			}
			for j := range dw.cols {
				dw.add(int(token), j, dy.at(n, j))
			}
		}
		return nil
	})
}

func checkToken(what string, n int, token int32, vocabulary int) error {
	if token < 0 || int(token) >= vocabulary {
		return fmt.Errorf("ref: %s %d of row %d is not in the vocabulary of %d: check it where it is read", what, token, n, vocabulary)
	}
	return nil
}

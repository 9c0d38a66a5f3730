package kernels

import "fmt"

// Embedding is y_n = W[Tokens[n]]. Tokens must be in [0, vocabulary): whoever
// reads them from outside checks.
type Embedding struct {
	Y      Matrix // [n, d]
	W      Matrix // [vocabulary, d], Compute type
	Tokens Buffer // [n], I32
}

// Check says what is wrong with the shapes.
func (op Embedding) Check() error {
	err := firstError(op.W.check("W"), op.Y.checkShape("Y", op.Y.Rows, op.W.Cols), checkLen("Tokens", op.Tokens, op.Y.Rows))
	if err != nil {
		return fmt.Errorf("embedding: %w", err)
	}
	return nil
}

// EmbeddingBackward adds dy_n to row Tokens[n] of DW, in an order that does not
// depend on the number of threads.
type EmbeddingBackward struct {
	DW     Matrix // [vocabulary, d], Master type, accumulated
	DY     Matrix // [n, d]
	Tokens Buffer // [n], I32
}

// Check says what is wrong with the shapes.
func (op EmbeddingBackward) Check() error {
	err := firstError(op.DW.check("DW"), op.DY.checkShape("DY", op.DY.Rows, op.DW.Cols), checkLen("Tokens", op.Tokens, op.DY.Rows))
	if err != nil {
		return fmt.Errorf("embedding backward: %w", err)
	}
	return nil
}

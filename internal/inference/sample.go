package inference

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"parallax/kernels"
)

// Sampling is how the next token is drawn.
type Sampling struct {
	Temperature float64 // 0: always the likeliest
	TopK        int     // among so many of the likeliest, 0: all
	Seed        uint64
}

// Sample continues a prompt by up to n tokens, handing each piece of text to
// emit. It stops early at an end of text. The whole window is computed again for
// every token, which is plenty for a look at what a model has learnt.
func (t *Trained) Sample(ctx context.Context, prompt string, n int, how Sampling, emit func(string) error) error {
	history, err := t.Tokenizer.Encode(nil, prompt)
	if err != nil {
		return fmt.Errorf("the prompt: %w", err)
	}
	if len(history) == 0 {
		history = append(history, t.Tokenizer.EndOfText())
	}
	logits, err := t.be.Alloc(t.be.Info().Precision.Master, t.model.BatchSize()*t.model.Config().Vocabulary)
	if err != nil {
		return err
	}
	defer logits.Free()
	random := rand.New(rand.NewPCG(how.Seed, 0))
	for range n {
		if err := ctx.Err(); err != nil {
			return err
		}
		next, err := t.next(history, logits, how, random)
		if err != nil || next == t.Tokenizer.EndOfText() {
			return err
		}
		history = append(history, next)
		text, err := t.Tokenizer.Decode([]int32{next})
		if err != nil {
			return err
		}
		if err := emit(text); err != nil {
			return err
		}
	}
	return nil
}

// next draws the token after history, of which the last SeqLen are seen.
func (t *Trained) next(history []int32, logits kernels.Buffer, how Sampling, random *rand.Rand) (int32, error) {
	n := t.model.BatchSize() * t.model.SeqLen()
	tokens, zeros := make([]int32, n), make([]int32, n)
	seen := history[max(0, len(history)-t.model.SeqLen()):]
	copy(tokens, seen)
	if err := t.upload(tokens, zeros, zeros); err != nil {
		return 0, err
	}
	t.model.Logits(t.batch, len(seen)-1, logits)
	scores, err := kernels.ReadFloats(t.be, logits.Slice(0, t.model.Config().Vocabulary))
	if err != nil {
		return 0, err
	}
	return draw(scores[:min(len(scores), t.Tokenizer.Vocabulary())], how, random), nil
}

// draw picks a token by its logit.
func draw(logits []float64, how Sampling, random *rand.Rand) int32 {
	order := make([]int32, len(logits))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(logits[b], logits[a]) })
	if how.Temperature == 0 {
		return order[0]
	}
	if how.TopK > 0 {
		order = order[:min(how.TopK, len(order))]
	}
	weights, sum := make([]float64, len(order)), 0.0
	for i, token := range order {
		weights[i] = math.Exp((logits[token] - logits[order[0]]) / how.Temperature)
		sum += weights[i]
	}
	x := random.Float64() * sum
	for i, w := range weights {
		if x -= w; x < 0 {
			return order[i]
		}
	}
	return order[len(order)-1]
}

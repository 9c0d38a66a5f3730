package train

import (
	"context"
	"time"

	"parallax/collective"
	"parallax/shard"
)

// Evaluation is a loss on sequences that are not trained on.
type Evaluation struct {
	Step    int64
	Loss    float64 // nats per scored token
	Tokens  int64   // scored
	Seconds float64
}

// Evaluate measures the validation loss on the spec's number of micro-batches,
// dealt round-robin to the ranks; all ranks get the same result, which does not
// depend on their number.
func (t *Trainer) Evaluate(ctx context.Context) (Evaluation, error) {
	began := time.Now()
	batches := shard.ValidationBatches(t.source.Sequences(shard.Validation), t.spec.Train.MicroBatch, t.spec.Eval.Batches)
	dealt := make([][]int, t.view.comm.Size())
	for i := range batches {
		dealt[i%len(dealt)] = append(dealt[i%len(dealt)], i)
	}
	mine, err := t.evaluateBatches(batches, dealt[t.view.rank])
	if err != nil {
		return Evaluation{}, err
	}
	e := view{comm: t.view.comm, rank: t.view.rank, slots: dealt}
	all, err := e.exchange(ctx, collective.Point{Step: t.applied, Phase: "evaluation"}, mine)
	if err != nil {
		return Evaluation{}, err
	}
	loss, tokens := e.total(all)
	t.view.takeTraffic() // not part of any step
	return Evaluation{Step: t.applied, Loss: loss, Tokens: tokens, Seconds: time.Since(began).Seconds()}, nil
}

func (t *Trainer) evaluateBatches(batches [][]int, which []int) (account, error) {
	var a account
	for _, i := range which {
		if err := t.view.loader.load(shard.Validation, batches[i:i+1]); err != nil {
			return account{}, err
		}
		b := t.view.loader.batches[0]
		t.model.Evaluate(b.device)
		t.be.Copy(t.view.slotLosses[0], t.model.Losses())
		sums, err := t.sumLosses(1)
		if err != nil {
			return account{}, err
		}
		a.losses = append(a.losses, sums[0])
		a.scored = append(a.scored, float64(b.scored))
	}
	return a, nil
}

// HasValidation says whether there is anything to evaluate on.
func (t *Trainer) HasValidation() bool {
	return t.source.Sequences(shard.Validation) > 0 && t.spec.Eval.Batches > 0
}

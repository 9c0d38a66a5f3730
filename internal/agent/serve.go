package agent

import (
	"parallax/internal/transfer"
)

// What a node that trains serves of its state to those who are to join. The steps
// are told on the goroutine that makes them; the calls are answered by others.

// tape hands the changes of the steps to the source.
type tape struct{ *transfer.Source }

// Record implements train.Recorder.
func (t tape) Record(step int64, change [][]byte) {
	t.Append(transfer.Record{Step: step, Parts: change})
}

// offer copies the state if somebody is to fetch it, between two steps.
func (t *training) offer() error {
	if !t.source.Wanted() {
		return nil
	}
	image, err := t.trainer.Image()
	if err != nil {
		return err
	}
	t.source.Offer(transfer.Record{Step: t.trainer.Applied(), Parts: image})
	return nil
}

package train

import (
	"fmt"
	"time"

	"parallax/model"
	"parallax/shard"
)

// Diagnosis is a look into the layers of the state that a rank holds.
type Diagnosis struct {
	Step    int64 // steps applied to it
	Layers  []model.Diagnosis
	Seconds float64
}

// Diagnose looks into the layers with the micro-batch that slot 0 of the step last
// applied has trained on, whichever rank had that slot: so what is seen does not
// depend on the world. It speaks to no other rank, and changes nothing that is
// trained.
func (t *Trainer) Diagnose() (Diagnosis, error) {
	began := time.Now()
	if t.applied == 0 {
		return Diagnosis{}, fmt.Errorf("there is no step yet whose layers could be looked into")
	}
	first, err := t.sampler.Assign([]int{0})
	if err != nil {
		return Diagnosis{}, err
	}
	if err := t.view.loader.load(shard.Train, first.Step(t.applied-1)); err != nil {
		return Diagnosis{}, err
	}
	layers, err := t.model.Diagnose(t.view.loader.batches[0].device)
	if err != nil {
		return Diagnosis{}, fmt.Errorf("looking into the layers after step %d: %w", t.applied, err)
	}
	return Diagnosis{Step: t.applied, Layers: layers, Seconds: time.Since(began).Seconds()}, nil
}

package agent

import "parallax/internal/train"

// Place is where in a run a node is, for tests.
type Place struct {
	Generation uint64
	train.Place
}

// The phases besides those of a step. Step is then the number of steps applied.
const (
	Fetch      train.Phase = "fetch"      // states are made equal, or, in no generation, the state is fetched
	Checkpoint train.Phase = "checkpoint" // the state is about to be copied and written
)

// observed has o.Observe told of the places of a view's steps.
func (t *training) observed() {
	if t.o.Observe != nil {
		t.trainer.Observe(func(at train.Place) { t.o.Observe(Place{t.view.Generation, at}) })
	}
}

// at tells the observer of a place outside a step.
func (t *training) at(phase train.Phase) {
	if t.o.Observe != nil {
		t.o.Observe(Place{t.view.Generation, train.Place{Step: t.trainer.Applied(), Phase: phase}})
	}
}

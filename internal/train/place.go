package train

// Place is where in a step a rank is.
type Place struct {
	Step   int64 // under way, counted from 1
	Phase  Phase
	Bucket int   // that is reduced; 0 in other phases
	Slots  []int // that this rank computes
}

// Phase is a part of a step.
type Phase string

// The phases of a step, in order. Each is told of at its beginning, but Applied,
// which is the step's end. Reductions begin while Backward goes on, on a goroutine
// of their own.
const (
	Load     Phase = "load"
	Backward Phase = "backward"
	Reduce   Phase = "reduce"
	Exchange Phase = "exchange"
	Update   Phase = "update" // the updates of matrices are computed, and gathered
	Apply    Phase = "apply"  // they are there
	Applied  Phase = "applied"
)

// Observe has f told of each place, on the goroutine that comes there, which goes
// on when f returns. It is for tests that make things happen at a place; nil ends
// it. It must not be called during a step.
func (t *Trainer) Observe(f func(Place)) { t.observe = f }

// at tells the observer that a phase of a step begins.
func (t *Trainer) at(step int64, phase Phase, bucket int) {
	if t.observe != nil {
		t.observe(Place{Step: step, Phase: phase, Bucket: bucket, Slots: t.view.slots[t.view.rank]})
	}
}

package train

import (
	"fmt"

	"parallax/collective"
	"parallax/kernels"
	"parallax/optimizer"
	"parallax/shard"
)

// View is a rank's place in the cluster until membership changes: its end of
// the ring, and the micro-batch slots that each rank computes.
type View struct {
	Comm  *collective.Comm
	Slots [][]int // by rank
}

// view is a View with what a step needs, allocated once.
type view struct {
	comm   *collective.Comm
	rank   int
	slots  [][]int // by rank
	mine   shard.Assignment
	loader *loader
	slot   int // of mine, counted from 0: at hand

	indices    [][]int          // of the sequences of my slots
	losses     kernels.Buffer   // per token of all my slots
	slotLosses []kernels.Buffer // and of each
	hostLosses []byte           // losses on the host
	lossSums   []float64        // of each of my slots
	scored     []float64        // likewise: tokens
	table      table

	peaks        int   // that each rank tells of: the parameters with sum-exact, else 0
	updateBounds []int // elements of the update buffer, by rank
	byteBounds   []int // the same in bytes
	reduction    *reduction
	host         []float32        // the flat gradient, then the updates, on their way through the ring
	traffic      collective.Stats // of the ring, when it was last reported
}

// Enter makes the trainer a rank of a ring. It leaves the view before.
func (t *Trainer) Enter(v View) error {
	t.leave()
	if len(v.Slots) != v.Comm.Size() {
		return fmt.Errorf("the view deals slots to %d ranks, but the ring has %d", len(v.Slots), v.Comm.Size())
	}
	if err := shard.CheckDeal(v.Slots, t.spec.Train.Slots); err != nil {
		return fmt.Errorf("the view is no good: %w", err)
	}
	next, err := t.newView(v)
	if err != nil {
		return err
	}
	t.view = next
	return nil
}

func (t *Trainer) newView(v View) (next *view, err error) {
	rank := v.Comm.Rank()
	next = &view{comm: v.Comm, rank: rank, slots: v.Slots, traffic: v.Comm.Stats()}
	if next.mine, err = t.sampler.Assign(v.Slots[rank]); err != nil {
		return nil, err
	}
	if t.exact != nil {
		next.peaks = len(t.exact.params)
	}
	if err := t.holdBatches(next); err != nil {
		return nil, err
	}
	if err := t.dealUpdates(next); err != nil {
		next.free()
		return nil, err
	}
	var cuts []span
	if size := t.model.Layout().Size; v.Comm.Size() > 1 {
		cuts = cutBuckets(size)
		next.host = kernels.Cast[float32](t.be.HostAlloc(4 * max(size, next.updateBounds[v.Comm.Size()])))
	}
	next.reduction = t.newReduction(v.Comm, cuts, next.host)
	return next, nil
}

// holdBatches allocates what the micro-batches of this rank's slots need. Evaluation
// uses one micro-batch, also on a rank without slots.
func (t *Trainer) holdBatches(v *view) (err error) {
	slots, positions := max(1, v.count()), t.positions()
	if v.loader, err = newLoader(t.be, t.source, t.spec.Data.Documents, slots, t.spec.Train.MicroBatch); err != nil {
		return err
	}
	if v.losses, err = t.be.Alloc(t.be.Info().Precision.Master, slots*positions); err != nil {
		v.loader.free()
		return err
	}
	for i := range slots {
		v.slotLosses = append(v.slotLosses, v.losses.Slice(i*positions, (i+1)*positions))
	}
	v.indices = v.mine.Step(0)
	v.hostLosses = t.be.HostAlloc(4 * slots * positions)
	v.lossSums, v.scored = make([]float64, slots), make([]float64, 0, slots)
	return nil
}

// dealUpdates gives each rank its share of Newton-Schulz.
func (t *Trainer) dealUpdates(v *view) error {
	plan, err := optimizer.NewPlan(t.optConfig, t.optParams, v.comm.Size())
	if err != nil {
		return err
	}
	t.opt.SetPlan(plan, v.rank)
	v.updateBounds = plan.Bounds()
	if updates := t.opt.Updates(); updates != nil {
		v.byteBounds = scaled(v.updateBounds, updates.DType().Size())
	}
	return nil
}

// leave frees the view. The ring is the caller's.
func (t *Trainer) leave() {
	if t.view == nil {
		return
	}
	t.view.free()
	t.view = nil
}

func (v *view) free() {
	if v.reduction != nil {
		v.reduction.free()
	}
	v.loader.free()
	v.losses.Free()
}

// positions is the number of tokens in a micro-batch.
func (t *Trainer) positions() int { return t.spec.Train.MicroBatch * t.spec.Train.SeqLen }

// count is the number of this rank's slots.
func (v *view) count() int { return len(v.slots[v.rank]) }

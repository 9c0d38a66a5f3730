// Package train is one training step: the place where data, model, collective
// and optimizer meet.
//
// A [Trainer] holds the state that a run is about: parameters, optimizer state
// and the number of steps applied. It enters a [View] (a ring and the slots
// dealt to each rank) and then makes steps:
//
//	load      the micro-batches of this rank's slots            (wait)
//	backward  forward and backward, slot by slot                (compute)
//	reduce    each bucket of the gradient goes round the ring as soon as the
//	          last slot's backward has passed it                (hidden, or reduce)
//	exchange  losses, scored tokens, times and wishes of all ranks
//	update    momentum everywhere; Newton-Schulz of this rank's matrices; the
//	          updates are all-gathered and applied               (update)
//
// A step is applied on a rank when all updates are gathered. Before that nothing
// of the state has changed, so a step that the ring broke can be left and made
// again, in another ring too.
//
// The bits of a step depend on the spec, the state and the number of ranks, not
// on timing. The losses are summed slot by slot, so they do not even depend on
// the number of ranks.
//
// A step allocates what it needs when a view is entered. A rank alone then allocates
// nothing more; in a ring there is left a context and a goroutine for each pass, which
// end with it, and what package collective needs for each operation.
//
// The package knows no concrete backend and no network: it is given a
// kernels.Backend and a collective.Comm. internal/agent is what gives them.
package train

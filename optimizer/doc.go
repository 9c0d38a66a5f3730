// Package optimizer turns a reduced gradient into new parameters: Muon for the
// hidden matrices, AdamW for embeddings, head and gains, or AdamW for everything.
//
// # A step over several ranks
//
// Every rank holds all parameters, the whole reduced gradient and the whole state.
// What is dealt out is Muon's Newton-Schulz iteration, which costs most, matrix by
// matrix (see [Plan]). So a step has two phases, and between them the caller
// gathers the parts of one buffer:
//
//	opt.Begin()                 // clip, and this rank's matrices -> its part of Updates
//	all-gather opt.Updates(), rank i owning elements [bounds[i], bounds[i+1])
//	opt.Finish(step, scale)     // momentum, AdamW, every matrix' update, working copy
//
// Begin changes neither the parameters, the gradient nor the state: where the
// gathering breaks, the step has not happened, and Begin can be called again, under
// another plan too. The result does not depend on the plan, to the last bit. A rank
// whose device has lanes ([kernels.Lanes]) gives each of them a matrix at a time.
//
// The package moves no bytes between ranks and knows no model: a [Param] says
// where a parameter lies in the flat buffers and what kind it is.
//
// # Where next
//
// config.go has the settings, newtonschulz.go the orthogonalisation, plan.go who
// computes what, step.go the two phases, state.go what a checkpoint must hold,
// schedule.go the learning rate over the run.
package optimizer

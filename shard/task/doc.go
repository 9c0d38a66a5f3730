// Package task makes synthetic sequences, each a small problem that tells mixers
// apart: recall, selection, regression and state tracking. A [Generator] draws
// one problem, a [Dataset] makes an indexed, repeatable collection of them with
// the interface of a text corpus (shard.Source), so that a trainer does not know
// the difference. Nothing is stored: sequence i is drawn anew, from (seed, split,
// i) alone, whenever it is asked for.
//
// Only the targets that a solver can know are scored, so that a perfect model has
// an accuracy of 1 and a loss of 0: the tests solve every task with a few lines of
// ordinary code.
package task

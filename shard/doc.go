// Package shard decides which samples each rank trains on.
//
// It is pure: nothing here reads a file, a clock or the size of the cluster
// behind the caller's back. A global step is M micro-batches, called slots, of
// b sequences each. Two questions are kept apart:
//
//   - Which sequences does slot m of step s hold? [Sampler] answers from
//     (seed, s, m) alone. The number of nodes does not enter, so every sequence
//     is used exactly once per epoch whoever computes it, and a run that loses a
//     node, or is resumed at another size, sees the same data.
//   - Who computes slot m? [Deal] hands the slots out in proportion to measured
//     speed, and [Sampler.Assign] joins the two answers for one rank.
//
// An epoch's order is a [Permutation] that is computed, not stored: any position
// of any epoch costs some nanoseconds and no memory, so resuming needs nothing
// but the step's number.
//
// [Source] is what a trainer reads from. Its implementations are shard/corpus
// (text and token files; read its package comment next) and shard/task
// (synthetic tasks); shard/tokenizer turns text into token ids and back.
package shard

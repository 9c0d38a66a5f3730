// Package simnet is a network in memory, between processes that can be killed and
// stopped, over edges that can be cut and slowed, by name. It is made for bubbles of
// fake time (testing/synctest): everything takes a latency of the clock's, and
// whoever waits does so durably.
//
// What is modelled:
//
//   - A [Process] has an address of its own, listens, dials, and sends gossip's
//     packets. Bytes arrive in order, a latency after they were written; a reader who
//     does not read holds the writer up once 1 MiB waits.
//   - Crash: what was written before still arrives, then both ends' connections are
//     reset, in the latency of their edge; new ones are refused. The process's own
//     reads and writes fail at once.
//   - Freeze: nothing that the process writes leaves, and nothing that others write
//     to it arrives, until Thaw; then everything does. Packets in between are lost.
//     New connections wait. The process's goroutines and timers go on: unlike a
//     process that is stopped by a signal, it may find others silent meanwhile.
//   - Cut: the same for the edge between two processes, until Heal. Ends and resets
//     of connections do not cross it either.
//   - Slow: more latency on an edge, for what is written from then on.
//
// What is not: bandwidth, loss and reordering of a stream's bytes, hosts apart from
// processes.
package simnet

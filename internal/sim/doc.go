// Package sim runs a whole cluster in one process and in fake time: real agents and
// a real coordinator with its ledger, real models on the CPU backend, real
// checkpoints, over a network in memory (simnet). What goes wrong in it is said
// beforehand, by coordinates: which node, in which step, in which phase of it.
//
// # A run
//
// A [Scenario] names the nodes, the run spec and the [Fault] values; [Run] plays it
// and returns what the cluster told, an [Outcome]; [Check] holds that against the
// outcome of a run in which nothing went wrong. Run must be called within
// testing/synctest's bubble, on which fake time depends, and which fails a test
// that leaves a goroutine behind:
//
//	synctest.Test(t, func(t *testing.T) {
//		out := sim.Run(scenario)
//		if err := sim.Check(out, undisturbed); err != nil {
//			t.Errorf("%v\n%s", err, out.Story)
//		}
//	})
//
// [Random] makes a scenario of a seed. The same seed gives the same faults at the
// same coordinates, the same latencies and the same computing times, so that almost
// everything happens at a time of its own, in an order of its own. Goroutines that
// are woken in the same instant run in the order that Go's scheduler chooses, and
// memberlist draws its own random numbers: a failure that needs those may take more
// than one repetition.
//
// # What a fault is here
//
// See simnet for what becomes of connections. A killed node's goroutines are told to
// end, and can reach nobody; a checkpoint that it is writing is still written. The
// coordinator crashes likewise, before it carries out a decision, or with a node at
// some place: what its ledger has not written yet is lost, and another life begins
// with the ledger's file. A
// frozen node's steps stand still too; its other goroutines and timers go on, so that
// it finds its neighbours silent, which a process stopped by a signal does not:
// that is for tests with processes, and for parallax chaos.
//
// Computing takes fake time, a node and step's own, in which heartbeats go on. Code that
// waits for time to go by while it computes never ends in a bubble: so the device's
// peak is given here, not measured.
package sim

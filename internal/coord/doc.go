// Package coord is the coordinator: it waits for nodes, deals the work out to
// them, listens to what they report, and decides what happens when one is lost.
//
// # The core
//
// [Core] does no I/O, owns no clock and starts no goroutine. Its user feeds it
// one [Event] after the other and carries out the [Decision] values that come
// back, in order:
//
//	for event := range events {
//		for _, decision := range core.Step(event) {
//			carryOut(decision)
//		}
//	}
//
// The user's duties: events of one connection arrive in the order in which they
// happened, each connection has a number of its own and ends with Lost, and Tick
// comes several times within a failure timeout, since the core learns the time
// from nothing else. Everything that the core decides carries one sentence why.
//
// A run passes through these phases:
//
//	waiting   until it is submitted and enough nodes are ready (join.go)
//	returning the coordinator has crashed and is back, or all members' streams have
//	          broken; they are waited for (restore.go, cutoff.go)
//	running   in a view; step reports are joined (view.go, steps.go)
//	parting   somebody comes or goes, or slots move: the ranks leave their ring together (part.go)
//	halting   a member is lost: survivors tell what state they hold (failure.go)
//	saving    the survivor that holds the most steps writes a checkpoint
//	lacking   too few are left; more are waited for, or those who are only silent (patience.go)
//	over      everybody was told to stop, the exit code is known (stop.go)
//
// Parting and halting end with the next view, in which the run goes on from the
// highest step that a member holds (next.go). Saving and lacking come only
// where too few nodes are left for that.
//
// A node that comes while the run goes on is named a member to fetch the state from,
// and is taken in once it follows the members step by step (fetch.go).
//
// A member that computes slowly is named, and has fewer slots in a next view of the
// same members where no number depends on that (straggler.go).
//
// # A crash
//
// What the core must still know after a crash of its process it hands out as a
// [State], in a [Keep] decision that stands in front of whatever follows from it
// (state.go). [Restore] makes a core of that. Nodes keep what they have reported
// until [Recorded] events say that it is on disk.
//
// The scripts in testdata show what the core decides, event by event.
//
// # The shell
//
// [Start] puts the core behind the gRPC service parallax.v1.Coordinator
// (service.go, attach.go), with gossip's verdicts and a ticker as
// further sources of events, and writes every published event to the ledger.
// One goroutine runs the core (loop.go).
//
// # Where next
//
// proto/parallax/v1 for the messages, internal/agent for the other end.
package coord

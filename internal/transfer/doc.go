// Package transfer brings a run's state to a node that is to join, while the
// members go on training.
//
// A member is the [Source]. At the end of a step it copies its state, the snapshot,
// and from then on it keeps a log of changes: for each step, what the update depends
// on beside the state. A joiner is a [Fetch]: it takes the snapshot and the changes
// at once, over two streams, applies the changes behind the snapshot, and so follows
// the members to the bit, a step behind. When they leave their ring together it
// hears after which step, and holds what they hold.
//
//	source.go    what can be served: one snapshot, shared by all, and the log
//	serve.go     the two calls of parallax.v1.State
//	outlet.go    where their pieces go: a direct connection, or the stream of the call
//	fetch.go     the joiner's end
//	snapshot.go  its stream of the snapshot, resumed where it broke
//	changes.go   its stream of changes, behind which they queue
//	inlet.go     where its pieces come from
//	piece.go     what travels; codec.go hands it to gRPC without a protobuf copy
//
// # What is checked
//
// Every piece has a CRC-32C of header and payload behind it. One that is damaged is refused
// and asked for again; a stream that breaks, or is silent, is opened again at the
// first byte that has not come. The whole is checked when it counts: a joiner is
// taken in with the SHA-256 of its state after the last change, which the
// coordinator holds against the members'. Sizes are known to the joiner beforehand,
// so nothing that is received decides about memory.
//
// # What is bounded
//
// A source holds one snapshot, and changes of twice its size (see [Source.Append]),
// for as long as somebody may fetch; a joiner queues as much. Who falls behind the log
// begins again with a new snapshot, and gives up after a few times.
//
// The package knows bytes and steps. What they mean is for internal/train, who may
// fetch from whom for internal/coord, and both ends are put together in
// internal/agent.
package transfer

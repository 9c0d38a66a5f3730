package kernels

import "context"

// Fabric is implemented by backends whose devices exchange memory with others of
// their kind without their hosts' help: GPUs through NCCL.
type Fabric interface {
	// FabricDevice tells this device from all others in the world. The error says
	// why it cannot take part.
	FabricDevice() (string, error)
	// NewGroupID names a group that is to be: one rank makes the name, at most
	// MaxGroupID bytes, and tells it to the others.
	NewGroupID() ([]byte, error)
	// JoinGroup makes this device one of size ranks. It returns when all have
	// joined, or when ctx ends.
	JoinGroup(ctx context.Context, id []byte, rank, size int) (Group, error)
}

// MaxGroupID is the most bytes that a group's name has.
const MaxGroupID = 128

// Group is a device's seat among others of its kind. AllReduce and AllGather are
// called like operations, by all ranks in the same order; what they exchange is
// what the operations enqueued before have computed, and it is there when the
// Event is.
type Group interface {
	// AllReduce replaces a buffer, F32, BF16 or I32, by its sum over all ranks, on
	// every rank to the same bits.
	AllReduce(buf Buffer) Event
	// AllGather hands every rank's part of a buffer to all: rank i's is elements
	// [bounds[i], bounds[i+1]).
	AllGather(buf Buffer, bounds []int) Event
	// Abort breaks off what is under way: its events, and all later ones, return
	// why. It may be called from any goroutine.
	Abort(why error)
	// Close leaves, after the events.
	Close()
}

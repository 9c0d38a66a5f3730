package coord

import (
	"time"

	"parallax/internal/config"
	pb "parallax/proto/parallax/v1"
)

// Conn numbers a node's connection; numbers are never used again.
type Conn uint64

// Event is something that happened: one of the types below.
type Event interface{ event() }

// Submitted hands over the run, once, after [Core.CheckJob] has approved it.
type Submitted struct {
	Job     Job
	Reached int64 // the step that an earlier part of the run has on record
}

// Submission is a run as a person asks for it.
type Submission struct {
	Name   string // may be empty
	Resume bool   // nodes go on from the newest checkpoint of the run
	Spec   config.Spec
}

// Job is a run as it is carried out.
type Job struct {
	Submission
	ID  string
	Dir string // where its checkpoints go
}

// Attached is a node's introduction on a new connection.
type Attached struct {
	Conn  Conn
	Hello *pb.Hello
}

// Received is any later message of an attached node.
type Received struct {
	Conn    Conn
	Message *pb.NodeMessage
}

// Lost is the end of a connection, Reason why.
type Lost struct {
	Conn   Conn
	Reason string
}

// GossipFailed is gossip's verdict that a node does not answer.
type GossipFailed struct {
	Node        string
	Incarnation uint64
}

// GossipJoined takes that verdict back.
type GossipJoined struct {
	Node        string
	Incarnation uint64
}

// StopRequested asks for an end after the step under way, with a checkpoint.
type StopRequested struct {
	Reason string
	Code   int  // the exit code that all processes then end with
	AtOnce bool // do not wait for the step, nor for a checkpoint
}

// Recorded says that the record reaches up to a step of a generation.
type Recorded struct {
	Generation uint64
	Step       int64
}

// CameBack begins the life of a restored core.
type CameBack struct {
	ViewTold bool // the crash came after the view was told, so it is not told again
}

// Tick tells the time: the one by which nodes are judged, and the wall's, by which a
// person is told how long the run took.
type Tick struct{ Now, Wall time.Time }

func (Submitted) event()     {}
func (Attached) event()      {}
func (Received) event()      {}
func (Lost) event()          {}
func (GossipFailed) event()  {}
func (GossipJoined) event()  {}
func (StopRequested) event() {}
func (Recorded) event()      {}
func (CameBack) event()      {}
func (Tick) event()          {}

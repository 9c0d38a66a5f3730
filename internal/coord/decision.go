package coord

import (
	pb "parallax/proto/parallax/v1"
)

// Decision is something to be done: one of the types below.
type Decision interface{ decision() }

// Send sends a message to a node. A Refusal is the last one: the connection is
// closed behind it. A connection that has ended meanwhile is no error.
type Send struct {
	Conn    Conn
	Message *pb.CoordinatorMessage
}

// Keep has a state written, so that it survives a crash before anything behind it
// in the list is carried out.
type Keep struct{ State *State }

// Publish appends an event to the run's history and ledger. Sequence number and
// time are for the shell to fill in.
type Publish struct{ Event *pb.RunEvent }

// Finish ends the coordinator. It comes once, after the messages that tell the
// nodes.
type Finish struct {
	Code   int
	Reason string
}

func (Send) decision()    {}
func (Keep) decision()    {}
func (Publish) decision() {}
func (Finish) decision()  {}

func welcome(m *pb.Welcome) *pb.CoordinatorMessage {
	return &pb.CoordinatorMessage{Kind: &pb.CoordinatorMessage_Welcome{Welcome: m}}
}

func refusal(code int, reason string) *pb.CoordinatorMessage {
	return &pb.CoordinatorMessage{Kind: &pb.CoordinatorMessage_Refusal{
		Refusal: &pb.Refusal{Reason: reason, ExitCode: int32(code)}}}
}

func viewOrder(v *pb.View) *pb.CoordinatorMessage {
	return &pb.CoordinatorMessage{Kind: &pb.CoordinatorMessage_View{View: v}}
}

func haltOrder(h *pb.HaltOrder) *pb.CoordinatorMessage {
	return &pb.CoordinatorMessage{Kind: &pb.CoordinatorMessage_Halt{Halt: h}}
}

func fetchOrder(f *pb.FetchOrder) *pb.CoordinatorMessage {
	return &pb.CoordinatorMessage{Kind: &pb.CoordinatorMessage_Fetch{Fetch: f}}
}

func serveOrder(nodes []string) *pb.CoordinatorMessage {
	return &pb.CoordinatorMessage{Kind: &pb.CoordinatorMessage_Serve{Serve: &pb.ServeOrder{NodeIds: nodes}}}
}

func saveOrder(reason string) *pb.CoordinatorMessage {
	return &pb.CoordinatorMessage{Kind: &pb.CoordinatorMessage_Save{Save: &pb.SaveOrder{Reason: reason}}}
}

func stopOrder(code int, atOnce bool, reason string) *pb.CoordinatorMessage {
	return &pb.CoordinatorMessage{Kind: &pb.CoordinatorMessage_Stop{
		Stop: &pb.StopOrder{Reason: reason, ExitCode: int32(code), AtOnce: atOnce}}}
}

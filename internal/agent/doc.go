// Package agent is the node daemon: it joins a coordinator's cluster, prepares
// data and model, and trains its share of every step until the run is over.
//
// One goroutine (obey.go) takes orders from the coordinator, signals from the
// host, and the outcome of training, and decides; a second one (training.go)
// lives as long as a view and does nothing but steps, evaluations and
// checkpoints. Before the first view of a node that joins late, another one
// (joining.go) fetches the state. Everything that touches the device happens on one of
// these, never on two at once.
//
//	link.go      the stream to the coordinator
//	outbox.go    what is reported, until it is on record
//	away.go      what a node does while there is no coordinator
//	prepare.go   device, data, model, checkpoint to resume from
//	obey.go      orders
//	tell.go      what state is held when a view ends
//	training.go  the steps of one view
//	serve.go     the state and its changes, for those who are to join
//	joining.go   fetching them, before this node is in a view
//	saver.go     checkpoints, written while training goes on
//
// The protocol is described in proto/parallax/v1; the other end is
// internal/coord; the step itself is internal/train.
package agent

package coord

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	pb "parallax/proto/parallax/v1"
)

// fakeNode speaks a node's part.
type fakeNode struct {
	t      *testing.T
	conn   *grpc.ClientConn
	stream pb.Coordinator_AttachClient
}

func attach(t *testing.T, c *Coordinator, hello *pb.Hello) *fakeNode {
	t.Helper()
	api, conn := client(t, c)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	stream, err := api.Attach(ctx)
	if err != nil {
		t.Fatal(err)
	}
	n := &fakeNode{t, conn, stream}
	n.say(&pb.NodeMessage{Kind: &pb.NodeMessage_Hello{Hello: hello}})
	return n
}

func hello(name string) *pb.Hello {
	return &pb.Hello{NodeId: name, Incarnation: 1, RingAddress: "127.0.0.1:1", Host: "h", Device: "cpu"}
}

func (n *fakeNode) say(m *pb.NodeMessage) {
	n.t.Helper()
	if err := n.stream.Send(m); err != nil {
		n.t.Fatal(err)
	}
}

// hear returns the next order: that reports are on record is none.
func (n *fakeNode) hear() *pb.CoordinatorMessage {
	n.t.Helper()
	for {
		m, err := n.stream.Recv()
		if err != nil {
			n.t.Fatal(err)
		}
		if m.GetRecorded() == nil {
			return m
		}
	}
}

// ended waits for the end of the stream.
func (n *fakeNode) ended() error {
	n.t.Helper()
	for {
		m, err := n.stream.Recv()
		switch {
		case err != nil:
			return err
		case m.GetRecorded() == nil && m.GetStop() == nil:
			n.t.Fatalf("heard %v, want the end of the stream", m)
		}
	}
}

// ready loads its data in no time, once it is welcome.
func (n *fakeNode) ready() {
	n.t.Helper()
	if n.hear().GetWelcome() == nil {
		n.t.Fatal("no welcome")
	}
	n.say(&pb.NodeMessage{Kind: &pb.NodeMessage_Ready{Ready: &pb.Ready{
		Parameters: 10, FlopsPerToken: 60, FlopsPerToken_6N: 61, DataSummary: "book", DataDigest: "d", Digest: []byte("s")}}})
}

// beat has the node show that it lives, until the test ends.
func (n *fakeNode) beat(every time.Duration) {
	beat, ended := time.NewTicker(every), make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() {
		for {
			select {
			case <-beat.C:
				_ = n.stream.Send(&pb.NodeMessage{Kind: &pb.NodeMessage_Heartbeat{Heartbeat: &pb.Heartbeat{}}})
			case <-ended:
				return
			}
		}
	})
	n.t.Cleanup(func() { close(ended); sending.Wait(); beat.Stop() })
}

func (n *fakeNode) step(step int64, loss float64) {
	n.t.Helper()
	n.say(&pb.NodeMessage{Kind: &pb.NodeMessage_Step{Step: &pb.StepReport{
		Generation: 1, Step: step, Loss: loss, Tokens: 100, Seconds: 0.5, WireBytes: 7}}})
}

func (n *fakeNode) leave(done bool, reason string, applied int64) {
	n.t.Helper()
	n.say(&pb.NodeMessage{Kind: &pb.NodeMessage_Leaving{Leaving: &pb.Leaving{AppliedStep: applied, Done: done, Reason: reason}}})
	if err := n.stream.CloseSend(); err != nil {
		n.t.Fatal(err)
	}
}

func (n *fakeNode) saved(step int64) {
	n.t.Helper()
	n.say(&pb.NodeMessage{Kind: &pb.NodeMessage_Checkpoint{Checkpoint: &pb.CheckpointReport{Step: step, Path: fmt.Sprintf("/c/%d", step)}}})
}

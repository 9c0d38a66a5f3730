package agent

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"

	"parallax/collective/grpcring"
	"parallax/internal/train"
	"parallax/internal/transfer"
	pb "parallax/proto/parallax/v1"
)

// joining is the goroutine that fetches the run's state from a member of a view that
// this node is not in, and follows the members step by step.
type joining struct {
	*agent
	order  *pb.FetchOrder
	cancel context.CancelFunc
	done   chan error
}

func startJoining(a *agent, order *pb.FetchOrder) *joining {
	ctx, cancel := context.WithCancel(context.Background())
	j := &joining{agent: a, order: order, cancel: cancel, done: make(chan error, 1)}
	go func() { j.done <- j.run(ctx) }()
	return j
}

// halt breaks it off and waits until the device is free.
func (j *joining) halt() {
	j.cancel()
	<-j.done
}

func (j *joining) run(ctx context.Context) error {
	if j.o.Observe != nil {
		j.o.Observe(Place{Place: train.Place{Step: j.trainer.Applied(), Phase: Fetch}})
	}
	conn, err := grpc.NewClient("passthrough:///"+j.order.Address, grpcring.DialOptions(j.peerOptions(j.order.NodeId)...)...)
	if err != nil {
		return err
	}
	defer conn.Close()
	f := &transfer.Fetch{
		Conn: conn, Address: j.order.Address, Direct: j.directDialer(j.order.NodeId), RunID: j.welcome.RunId, Node: j.o.Name,
		Target: j.trainer, Alloc: j.device.HostAlloc, Silence: j.failureTimeout(),
		Near: j.near, Left: j.arrived, Doing: j.doing(),
	}
	return f.Run(ctx)
}

// near says that the members need not wait for this node, but for a step.
func (j *joining) near(a transfer.Account) {
	j.report(&pb.NodeMessage{Kind: &pb.NodeMessage_Fetched{Fetched: &pb.Fetched{
		Number: j.order.Number, Step: a.Step, Bytes: a.Bytes, Seconds: a.Duration.Seconds(), Replayed: a.Replayed}}})
}

// arrived says that this node holds what the members hold, who have left their ring.
func (j *joining) arrived(generation uint64, _ int64) error {
	step, digest, err := j.holding()
	if err != nil {
		return err
	}
	j.report(&pb.NodeMessage{Kind: &pb.NodeMessage_Held{Held: &pb.Held{
		Generation: generation, AppliedStep: step, Digest: digest}}})
	return nil
}

// doing tells now and then how much has come.
func (j *joining) doing() func(bytes, total int64) {
	said := time.Now()
	return func(bytes, total int64) {
		if time.Since(said) >= progressInterval {
			said = time.Now()
			j.progress(fmt.Sprintf("fetches the state of %s, %d of %d MB", j.order.NodeId, bytes>>20, total>>20))
		}
	}
}

// failed says that the state cannot be fetched from this member.
func (j *joining) failed(err error) {
	j.log.Warn("cannot fetch the state", "from", j.order.NodeId, "cause", err)
	j.report(&pb.NodeMessage{Kind: &pb.NodeMessage_Fetched{Fetched: &pb.Fetched{
		Number: j.order.Number, Error: err.Error()}}})
}

package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"parallax/internal/network"
	"parallax/internal/trust"
	pb "parallax/proto/parallax/v1"
)

// link is the stream to the coordinator.
type link struct {
	conn   *grpc.ClientConn
	stream pb.Coordinator_AttachClient
	cancel context.CancelFunc
	orders chan *pb.CoordinatorMessage // closed when the stream ends

	sendMu sync.Mutex
	errMu  sync.Mutex
	err    error // why orders was closed
}

// alive makes a dead link to the coordinator an error, which silence alone is
// not. gRPC asks no more often than every 10 s.
var alive = keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second, PermitWithoutStream: true}

// dial attaches to the coordinator, waiting for it up to o.Patience. The link
// then lives until hangUp, whatever becomes of ctx.
func dial(ctx context.Context, o Options, hello *pb.Hello) (*link, error) {
	ctx, refused := context.WithCancelCause(ctx)
	defer refused(nil)
	options := append(o.Trust.Coordinator(refused).DialOptions(),
		grpc.WithKeepaliveParams(alive), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)))
	conn, err := grpc.NewClient(o.Coordinator, append(options, network.DialOptions(o.Network)...)...)
	if err != nil {
		return nil, usage("the coordinator's address %q: %w", o.Coordinator, err)
	}
	streamCtx, cancel := context.WithCancel(context.Background())
	l := &link{conn: conn, cancel: cancel, orders: make(chan *pb.CoordinatorMessage, 16)}
	if err := l.open(ctx, streamCtx, o.Patience); err != nil {
		l.cancel()
		conn.Close()
		if refusal := new(trust.Refusal); errors.As(err, &refusal) {
			return nil, usage("cannot attach to the coordinator at %s: %w", o.Coordinator, err)
		}
		return nil, unavailable("no coordinator answers at %s (%w): is it running, and is the address right?", o.Coordinator, err)
	}
	go l.receive()
	l.send(&pb.NodeMessage{Kind: &pb.NodeMessage_Hello{Hello: hello}})
	return l, nil
}

// open begins the stream, giving up when ctx ends or patience does.
func (l *link) open(ctx, streamCtx context.Context, patience time.Duration) (err error) {
	ctx, stop := context.WithTimeoutCause(ctx, patience, fmt.Errorf("waited %v", patience))
	defer stop()
	defer context.AfterFunc(ctx, l.cancel)()
	l.stream, err = pb.NewCoordinatorClient(l.conn).Attach(streamCtx, grpc.WaitForReady(true))
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (l *link) receive() {
	defer close(l.orders)
	for {
		m, err := l.stream.Recv()
		if err == nil {
			err = checkOrder(m)
		}
		if err != nil {
			l.errMu.Lock()
			l.err = err
			l.errMu.Unlock()
			return
		}
		l.orders <- m
	}
}

// lost is why the stream has ended.
func (l *link) lost() error {
	l.errMu.Lock()
	defer l.errMu.Unlock()
	return l.err
}

// unwelcome says why a coordinator has ended the stream without an order.
func (l *link) unwelcome(coordinator string) error {
	err := l.lost()
	switch s := status.Convert(err); s.Code() {
	case codes.Unauthenticated, codes.PermissionDenied:
		return usage("the coordinator at %s refuses this node: %s", coordinator, s.Message())
	}
	return unavailable("the coordinator at %s hung up: %w", coordinator, err)
}

// send reports to the coordinator. That it no longer listens shows on orders.
func (l *link) send(m *pb.NodeMessage) {
	l.sendMu.Lock()
	defer l.sendMu.Unlock()
	_ = l.stream.Send(m)
}

// goodbye is how long a coordinator may take to end a stream that we have ended.
const goodbye = 3 * time.Second

// hangUp ends the stream once the coordinator has read everything.
func (l *link) hangUp() {
	l.sendMu.Lock()
	_ = l.stream.CloseSend()
	l.sendMu.Unlock()
	impatience := time.AfterFunc(goodbye, l.cancel)
	for range l.orders {
	}
	impatience.Stop()
	l.cancel()
	l.conn.Close()
}

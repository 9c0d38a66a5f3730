package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"parallax/internal/network"
	"parallax/internal/trust"
	pb "parallax/proto/parallax/v1"
)

// link is one stream to the coordinator, which ends when the coordinator does.
// What a node reports goes through its outbox, which outlives the link.
type link struct {
	conn    *grpc.ClientConn
	stream  pb.Coordinator_AttachClient
	cancel  context.CancelFunc
	orders  chan *pb.CoordinatorMessage // closed when the stream ends
	ended   chan struct{}               // closed with orders
	closing chan struct{}               // closed when nothing more is to be sent than is in the outbox
	outbox  *outbox
	sender  sync.WaitGroup

	errMu sync.Mutex
	err   error // why orders was closed
}

// alive makes a dead link to the coordinator an error, which silence alone is
// not. gRPC asks no more often than every 10 s.
var alive = keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second, PermitWithoutStream: true}

// attempts is how often a coordinator that is not there is tried again: soon at
// first, and not by all nodes at once. One that comes back counts on it that members
// try once in a failure timeout at least.
func (a *agent) attempts() grpc.ConnectParams {
	most, connect := 2*time.Second, 5*time.Second
	if timeout := a.failureTimeout(); timeout > 0 {
		most, connect = min(most, timeout/2), min(connect, max(timeout, time.Second))
	}
	return grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: min(most, 50*time.Millisecond), Multiplier: 1.6, Jitter: 0.3, MaxDelay: most},
		MinConnectTimeout: connect,
	}
}

// dial attaches to the coordinator, waiting for it up to patience (0: for as long
// as ctx lasts). The link then lives until hangUp or drop, or until the node dies.
func (a *agent) dial(ctx context.Context, patience time.Duration, hello *pb.Hello) (*link, error) {
	o := a.o
	ctx, refused := context.WithCancelCause(ctx)
	defer refused(nil)
	options := append(o.Trust.Coordinator(refused).DialOptions(),
		grpc.WithKeepaliveParams(alive), grpc.WithConnectParams(a.attempts()), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)))
	// passthrough: the name is looked up for each attempt, so that a coordinator that comes
	// back at another address is found at once.
	conn, err := grpc.NewClient("passthrough:///"+o.Coordinator, append(options, network.DialOptions(o.Network)...)...)
	if err != nil {
		return nil, usage("the coordinator's address %q: %w", o.Coordinator, err)
	}
	streamCtx, cancel := context.WithCancel(a.life)
	l := &link{conn: conn, cancel: cancel, orders: make(chan *pb.CoordinatorMessage, 16),
		ended: make(chan struct{}), closing: make(chan struct{}), outbox: a.outbox}
	if err := l.open(ctx, streamCtx, patience); err != nil {
		l.cancel()
		conn.Close()
		if refusal := new(trust.Refusal); errors.As(err, &refusal) {
			return nil, usage("cannot attach to the coordinator at %s: %w", o.Coordinator, err)
		}
		return nil, unavailable("no coordinator answers at %s (%w): is it running, and is the address right?", o.Coordinator, err)
	}
	go l.receive()
	_ = l.stream.Send(&pb.NodeMessage{Kind: &pb.NodeMessage_Hello{Hello: hello}}) // a broken stream shows on orders
	return l, nil
}

// open begins the stream, giving up when ctx ends or patience does.
func (l *link) open(ctx, streamCtx context.Context, patience time.Duration) (err error) {
	if patience > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, patience, fmt.Errorf("waited %v", patience))
		defer stop()
	}
	defer context.AfterFunc(ctx, l.cancel)()
	l.stream, err = pb.NewCoordinatorClient(l.conn).Attach(streamCtx, grpc.WaitForReady(true))
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (l *link) receive() {
	defer close(l.ended)
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
		if r := m.GetRecorded(); r != nil {
			l.outbox.recorded(r.Step)
			continue
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
	if refusedForGood(err) {
		return usage("the coordinator at %s refuses this node: %s", coordinator, status.Convert(err).Message())
	}
	return unavailable("the coordinator at %s hung up: %w", coordinator, err)
}

// refusedForGood says that trying again would end the same way.
func refusedForGood(err error) bool {
	switch status.Code(err) {
	case codes.Unauthenticated, codes.PermissionDenied, codes.InvalidArgument:
		return true
	}
	return false
}

// heartbeats is how many heartbeats a silent node sends in a failure timeout.
const heartbeats = 4

// carry begins to send what is in the outbox, and heartbeats where that is
// nothing. They come from a goroutine of their own, however long a step takes.
func (l *link) carry(failureTimeout time.Duration) {
	l.sender.Go(func() {
		beat := time.NewTicker(failureTimeout / heartbeats)
		defer beat.Stop()
		for {
			m := l.outbox.next()
			if m == nil {
				if m = l.idle(beat.C); m == nil {
					return
				}
			}
			if l.stream.Send(m) != nil {
				return // why shows on orders
			}
		}
	})
}

// idle waits until there is something to send; nil when there will be nothing.
func (l *link) idle(beat <-chan time.Time) *pb.NodeMessage {
	for {
		select {
		case <-l.outbox.more:
		case <-beat:
			return &pb.NodeMessage{Kind: &pb.NodeMessage_Heartbeat{Heartbeat: &pb.Heartbeat{}}}
		case <-l.closing:
			return l.outbox.next()
		case <-l.ended:
			return nil
		}
		if m := l.outbox.next(); m != nil {
			return m
		}
	}
}

// goodbye is how long a coordinator may take to end a stream that we have ended.
const goodbye = 3 * time.Second

// hangUp ends the stream once the coordinator has read everything.
func (l *link) hangUp() {
	close(l.closing)
	impatience := time.AfterFunc(goodbye, l.cancel)
	l.sender.Wait()
	_ = l.stream.CloseSend()
	for range l.orders {
	}
	impatience.Stop()
	l.drop()
}

// drop gives up a link whose stream has ended, or need not end well.
func (l *link) drop() {
	l.cancel()
	l.sender.Wait()
	for range l.orders {
	}
	l.conn.Close()
}

package coord

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"parallax/internal/trust"
	pb "parallax/proto/parallax/v1"
)

// maxQueue is how many orders may wait for a node; one that does not read so
// many is lost.
const maxQueue = 64

// maxConns bounds the connections of nodes, refused ones included.
const maxConns = 2 * MaxNodes

// connTable knows the connections of nodes.
type connTable struct {
	mu    sync.Mutex
	last  Conn
	conns map[Conn]*conn
}

// conn is one node's connection: what waits to be sent to it.
type conn struct {
	id    Conn
	queue chan *pb.CoordinatorMessage
	full  chan struct{} // closed when the queue overflows
	once  sync.Once
}

func (t *connTable) open() (*conn, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.conns) >= maxConns {
		return nil, status.Errorf(codes.ResourceExhausted, "the coordinator has %d connections already", maxConns)
	}
	if t.conns == nil {
		t.conns = make(map[Conn]*conn)
	}
	t.last++
	k := &conn{id: t.last, queue: make(chan *pb.CoordinatorMessage, maxQueue), full: make(chan struct{})}
	t.conns[k.id] = k
	return k, nil
}

func (t *connTable) close(k *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.conns, k.id)
}

// send queues m and never waits.
func (t *connTable) send(id Conn, m *pb.CoordinatorMessage) {
	t.mu.Lock()
	k := t.conns[id]
	t.mu.Unlock()
	if k == nil {
		return
	}
	select {
	case k.queue <- m:
	default:
		k.once.Do(func() { close(k.full) })
	}
}

// Attach serves one node for as long as it takes part.
func (s *service) Attach(stream pb.Coordinator_AttachServer) error {
	k, err := s.conns.open()
	if err != nil {
		return err
	}
	defer s.conns.close(k)
	ended := make(chan error, 1)
	go func() { ended <- s.listen(k, stream) }()
	return write(k, stream, ended)
}

// write sends what is queued until the node is refused or stops listening, or
// its own end of the stream has ended.
func write(k *conn, stream pb.Coordinator_AttachServer, ended <-chan error) error {
	for {
		select {
		case m := <-k.queue:
			if err := stream.Send(m); err != nil || m.GetRefusal() != nil {
				return err
			}
		case <-k.full:
			return status.Errorf(codes.ResourceExhausted, "the node has not read its last %d orders", maxQueue)
		case err := <-ended:
			return errors.Join(flush(k, stream), err)
		}
	}
}

// flush sends what is queued already.
func flush(k *conn, stream pb.Coordinator_AttachServer) error {
	for {
		select {
		case m := <-k.queue:
			if err := stream.Send(m); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

// listen turns what a node says into events, until it says no more or something
// invalid.
func (c *Coordinator) listen(k *conn, stream pb.Coordinator_AttachServer) error {
	hello, err := receiveHello(stream)
	if err != nil {
		return err
	}
	if err := trust.CheckPeer(stream.Context(), hello.NodeId); err != nil {
		c.log.Warn("refused a node", "node", hello.NodeId, "host", hello.Host, "because", err)
		return status.Error(codes.PermissionDenied, err.Error())
	}
	if !c.post(Attached{k.id, hello}) { // it came too late
		c.conns.send(k.id, stopOrder(c.result.Code, true, c.result.Reason))
		return nil
	}
	for {
		m, err := stream.Recv()
		if err == nil {
			err = invalid(checkMessage(m))
		}
		if err != nil {
			c.post(Lost{k.id, whyLost(err)})
			if err == io.EOF {
				return nil
			}
			return err
		}
		c.post(Received{k.id, m})
	}
}

func receiveHello(stream pb.Coordinator_AttachServer) (*pb.Hello, error) {
	m, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	hello := m.GetHello()
	if hello == nil {
		return nil, status.Errorf(codes.InvalidArgument, "a node's first message must be a hello, this was a %T", m.Kind)
	}
	return hello, invalid(checkHello(hello))
}

func invalid(err error) error {
	if err == nil {
		return nil
	}
	return status.Error(codes.InvalidArgument, err.Error())
}

// whyLost says in words how a stream ended.
func whyLost(err error) string {
	if err == io.EOF {
		return "the node ended it without a goodbye"
	}
	switch s := status.Convert(err); s.Code() {
	case codes.Canceled:
		return "the connection was closed"
	case codes.InvalidArgument:
		return "the node sent something invalid: " + s.Message()
	default:
		return fmt.Sprint(s.Message())
	}
}

package transfer

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"sync"

	"google.golang.org/grpc"

	"parallax/internal/direct"
	pb "parallax/proto/parallax/v1"
)

// inlet is where the pieces of one call come from. What is wrong with a piece is
// reported in it, and an error is of the call: io.EOF when that has ended well.
type inlet interface {
	next(*incoming) error
	close() // after the call's context has ended
}

// inlet makes the one of a call: a direct connection, if the source offers one.
// Where that does not come about the fetch does without from then on.
func (f *Fetch) inlet(ctx context.Context, stream grpc.ServerStreamingClient[pb.Piece]) (inlet, error) {
	if !f.direct() {
		return fromStream{stream}, nil
	}
	header, err := stream.Header()
	offer := direct.Offered(header)
	if err != nil || offer == "" {
		return fromStream{stream}, nil // which says what is the matter, if anything is
	}
	conn, err := f.Direct.Connect(ctx, f.Address, offer)
	if err == nil {
		return newFromConn(conn, stream, f.Alloc), nil
	}
	if ctx.Err() == nil && !f.refused.Swap(true) {
		f.Direct.Tell(fmt.Sprintf("the state comes over gRPC: no direct connection to %s came about: %v", f.Address, err))
	}
	return nil, err
}

// direct reports whether calls ask for direct connections.
func (f *Fetch) direct() bool { return f.Direct != nil && !f.refused.Load() }

// fromStream has gRPC bring the pieces.
type fromStream struct {
	grpc.ServerStreamingClient[pb.Piece]
}

func (i fromStream) next(p *incoming) error { return i.RecvMsg(p) }

func (i fromStream) close() {}

// fromConn reads pieces from a direct connection, a few ahead of who takes them.
type fromConn struct {
	conn   net.Conn
	stream grpc.ServerStreamingClient[pb.Piece]
	spent  chan *incoming // to be read into
	come   chan *incoming // closed after the last
	ended  error          // why no more come; set before come is closed
	closed chan struct{}
	reader sync.WaitGroup
}

const (
	readAhead   = 6       // pieces
	smallBuffer = 4 << 10 // collects header and sum; payloads are read past it
)

func newFromConn(conn net.Conn, stream grpc.ServerStreamingClient[pb.Piece], alloc func(int) []byte) *fromConn {
	i := &fromConn{
		conn: conn, stream: stream, closed: make(chan struct{}),
		spent: make(chan *incoming, readAhead), come: make(chan *incoming, readAhead),
	}
	i.reader.Go(func() { i.read(alloc) })
	return i
}

func (i *fromConn) read(alloc func(int) []byte) {
	defer close(i.come)
	r := bufio.NewReaderSize(i.conn, smallBuffer)
	for made := 0; ; {
		if made < readAhead && len(i.spent) == 0 {
			made++
			i.spent <- &incoming{payload: alloc(PieceBytes)}
		}
		select {
		case m := <-i.spent:
			if err := m.scan(r); err != nil {
				i.ended = i.why(err)
				return
			}
			i.come <- m
		case <-i.closed:
			return
		}
	}
}

// why is how the call has ended whose connection has.
func (i *fromConn) why(err error) error {
	if said := i.stream.RecvMsg(&incoming{}); said != nil {
		return said
	}
	return fmt.Errorf("a piece came over gRPC after the direct connection had ended: %w", direct.Ended(err))
}

// next gives p the piece, and the reader p's memory.
func (i *fromConn) next(p *incoming) error {
	m, more := <-i.come
	if !more {
		return i.ended
	}
	*p, *m = *m, *p
	i.spent <- m
	p.bad = p.verify()
	return nil
}

func (i *fromConn) close() {
	close(i.closed)
	i.conn.Close()
	i.reader.Wait()
}

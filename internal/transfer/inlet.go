package transfer

import (
	"context"
	"errors"
	"fmt"

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
		return newFromConn(ctx, conn, stream), nil
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

// fromConn reads pieces from a direct connection.
type fromConn struct {
	conn   *direct.Conn
	stream grpc.ServerStreamingClient[pb.Piece]
	stop   func() bool
}

// newFromConn is the inlet of a connection, which ends with ctx whatever the other
// side does.
func newFromConn(ctx context.Context, conn *direct.Conn, stream grpc.ServerStreamingClient[pb.Piece]) inlet {
	return fromConn{conn, stream, context.AfterFunc(ctx, func() { conn.Close() })}
}

func (i fromConn) next(p *incoming) error {
	err := p.scan(i.conn)
	if err == nil {
		p.bad = p.verify()
		return nil
	}
	return i.why(err)
}

// why is how the call has ended whose connection has. Of one that was tampered with
// only its reader knows.
func (i fromConn) why(err error) error {
	if _, forged := errors.AsType[*direct.Forged](err); forged {
		return err
	}
	if said := i.stream.RecvMsg(&incoming{}); said != nil {
		return said
	}
	return fmt.Errorf("a piece came over gRPC after the direct connection had ended: %w", direct.Ended(err))
}

func (i fromConn) close() {
	i.stop()
	i.conn.Close()
}

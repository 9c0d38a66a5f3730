package transfer

import (
	"context"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"parallax/internal/direct"
)

// outlet is where the pieces of one call go.
type outlet interface {
	send(*outgoing) error
	flush() error // has the last piece arrive whole before there is another
}

// answer makes a call's outlet and has say say its pieces: over a direct connection,
// if the joiner asks for one, else over the stream, which tells in either case how it
// ended.
func (s *Source) answer(stream grpc.ServerStream, node string, say func(outlet) error) error {
	md, _ := metadata.FromIncomingContext(stream.Context())
	if s.host == nil || !direct.Asked(md) {
		return say(overStream{stream})
	}
	conn, err := s.host.Accept(stream.Context(), stream, func(ctx context.Context) error { return s.authorize(ctx, node) })
	if err != nil {
		return status.Error(codes.Unavailable, err.Error())
	}
	defer conn.Close()
	stop := context.AfterFunc(stream.Context(), func() { conn.Close() })
	defer stop()
	return say(&overConn{conn: conn})
}

// overStream has gRPC carry the pieces.
type overStream struct{ grpc.ServerStream }

func (o overStream) send(m *outgoing) error { return o.SendMsg(m.seal()) }

func (o overStream) flush() error { return nil }

// overConn writes pieces to a direct connection, one after the other. A piece's sum
// is taken when the rest of it has been written, and goes with what comes next.
type overConn struct {
	conn *direct.Conn
	iov  net.Buffers // not yet written
}

func (o *overConn) send(m *outgoing) error {
	o.iov = append(append(o.iov, m.head), m.parts...)
	if err := o.flush(); err != nil {
		return err
	}
	o.iov = append(o.iov, m.seal().sum)
	return nil
}

func (o *overConn) flush() error {
	err := o.conn.WriteAll(o.iov)
	clear(o.iov)
	o.iov = o.iov[:0]
	if err != nil {
		return status.Errorf(codes.Unavailable, "the direct connection broke: %v", err)
	}
	return nil
}

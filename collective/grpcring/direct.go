package grpcring

import (
	"context"
	"fmt"

	"parallax/collective/tcpring"
)

// A direct connection takes the frames of a link off gRPC, see packages tcpring and
// internal/direct. If it does not come about, the dialler ends the stream and opens
// one that does not ask for it.

// accept says yes to a link, and waits for its direct connection, if there is to
// be one.
func (s *Server) accept(ctx context.Context, a *arrival) (*tcpring.Edge, error) {
	if !a.direct || s.host == nil {
		return nil, a.stream.SendHeader(nil)
	}
	conn, err := s.host.Accept(ctx, a.stream, func(ctx context.Context) error { return s.authorize(ctx, a.Claim) })
	switch {
	case err == nil:
		return tcpring.NewEdge(conn), nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("the direct connection of generation %d did not come: %w", a.Generation, err)
	}
	return nil, err
}

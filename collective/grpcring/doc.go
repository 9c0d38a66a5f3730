// Package grpcring is the collective.Transport of a cluster: every edge of the
// ring is one bidirectional gRPC stream, parallax.v1.Ring/Link, which a rank
// opens to the next one and keeps for as long as the view lasts. Data flows with
// the ring; heartbeats, aborts and goodbyes flow both ways.
//
// # Use
//
// A node daemon has one Server for its whole life, registered with the
// grpc.Server that it shares with other services (made with ServerOptions).
// For each view it calls Connect, which opens the link to the next rank, waits
// for that of the previous one, and returns the transport for collective.New.
//
// # How
//
// Messages are collective frames behind a codec of their own, chosen by the
// stream's content subtype, so that other services on the same server keep
// protobuf. Tensor bytes are handed to gRPC, and taken from it, by reference:
// gRPC returns from SendMsg before the bytes have left, so a chunk goes back to
// its owner only when gRPC frees it (see outgoing in codec.go).
//
// # Direct connections
//
// gRPC copies what it carries. Where both sides want it (WithDirectHost, WithDirect),
// a link's frames go over a connection of their own, package tcpring, which the
// stream has negotiated; package internal/direct says how, and what proves who it is.
//
// # Where next
//
// Who may link is for transport credentials (WithDialOptions, and those of the
// grpc.Server) and for WithAuthorize. Package collective is what runs on it.
package grpcring

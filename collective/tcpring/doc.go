// Package tcpring carries the ring's frames on a byte stream: a connection that
// package internal/direct has made, plain or sealed.
//
// An [Edge] writes header and payload with one system call, from the memory they
// lie in, and reads payloads right into the memory they are for
// (collective.Placer). Between processes of one host that takes half of gRPC's
// processor time, most of which goes into copies between its buffers.
//
// Package grpcring opens a gRPC stream first, checks the neighbour there, and has the
// stream negotiate the connection.
package tcpring

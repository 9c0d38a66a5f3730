// Package tcpring carries the ring's frames on a plain byte stream: a TCP
// connection, or TLS over one.
//
// An [Edge] writes header and payload with one system call, from the memory they
// lie in, and reads payloads right into the memory they are for
// (collective.Placer). Between processes of one host that takes half of gRPC's
// processor time, most of which goes into copies between its buffers.
//
// # Who may connect
//
// Nothing here decides that. Package grpcring opens a gRPC stream first, checks the
// neighbour there, and hands out a secret that the connection must present
// (greeting.go): it is good for one connection of one link of one generation. With
// TLS the connection is TLS too, by the same certificates, from before the secret
// is said.
//
// # One port
//
// A direct connection comes to the port of the gRPC server. It begins with [Magic],
// by which [Split] tells it from what gRPC is for.
package tcpring

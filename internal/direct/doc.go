// Package direct makes connections beside gRPC, where gRPC's copies cost too much:
// for the ring's frames (collective/grpcring) and for states on their way to a joiner
// (internal/transfer).
//
// # How one comes about
//
// A gRPC stream negotiates it, so gRPC's checks hold for it too:
//
//	dialler                                  acceptor
//	opens a stream that asks for one    ->   checks the call as ever
//	                                    <-   header, with an offer: a fresh secret
//	connects to the same address, says
//	Magic, then TLS if there is TLS,
//	then the secret                     ->   checks certificate and secret
//	                                    <-   welcome
//
// From there on the connection is theirs, and the stream lies idle until it says how
// it ended. If the connection does not come about, the dialler opens a stream that
// does not ask for one.
//
// # Who may connect
//
// A secret is good for one connection of one stream, for as long as the acceptor waits
// for it. With TLS the connection is TLS too, by the same certificates as gRPC's, from
// before the secret is said, and whoever is let in must be whom the stream was opened
// by.
//
//	split.go     one port for gRPC and direct connections
//	greeting.go  what is said first
//	offer.go     the acceptor's end
//	dial.go      the dialler's end
//	conn.go      what both get; gather.go lies under its TLS, if there is any
package direct

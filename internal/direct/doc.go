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
// for it. With TLS the handshake is TLS 1.3, by the same certificates as gRPC's, from
// before the secret is said, and whoever is let in must be whom the stream was opened
// by. A connection is plain only where a process has no TLS at all; anything else that
// the handshake could have come to ends it.
//
// # What travels
//
// Without TLS, bytes. With TLS, secret and welcome are the last that TLS carries, and
// records of our own follow on the connection below, as in DTLS-SRTP (RFC 5764), because
// TLS's are copied twice more and are no longer than 16 KiB. Primitives are the standard
// library's. Each direction has a secret of its own, which both sides take
// from the handshake (RFC 8446, section 7.5), and AES-128-GCM keys from it with HKDF.
//
//	length      4   big-endian, of the bytes before they were sealed: 1 to 128 KiB
//	sealed          the bytes, with length as additional data
//	tag        16
//
// Nonces count the records, so one that is changed, left out, repeated, moved, or of
// another connection or direction does not open; then the connection is closed, and the
// reader learns it as a [Forged]. After 2^19 records, 64 GiB, both sides go on with keys
// of the next secret, and forget the last. Nothing is allocated for what a length
// announces: a connection has two buffers, once it is let in.
//
// Nothing marks the end, so whoever can cut the cable can cut the stream. Both users know
// how much is to come: the ring's frames have lengths, and a neighbour that goes says Bye;
// pieces have lengths too, and how a fetch ended is told by the gRPC stream beside it.
//
//	split.go     one port for gRPC and direct connections
//	greeting.go  what is said first
//	boundary.go  where TLS ends
//	offer.go     the acceptor's end
//	dial.go      the dialler's end
//	conn.go      what both get
//	keys.go      what its records are sealed with
//	seal.go      records on their way out
//	open.go      and in
package direct

// Package trust puts certificates and the join token under gRPC: who may talk to
// the processes of a cluster, and whom they talk to.
//
// [Trust] is what a process was given: an identity (package certs), a token, both
// or neither. Its zero value is for loopback, [Trust.CheckAddress] holds every
// address to that.
//
//	TLS     both sides show a certificate of the one authority (server.go, caller.go)
//	names   a node must have the certificate of its name: towards the coordinator,
//	        and towards both neighbours on the ring (peer.go)
//	token   a secret that every call to the coordinator carries (token.go)
//	gossip  keys of memberlist, which the coordinator hands to nodes (gossipkey.go)
//
// Whoever refuses says so in one sentence in its log, and each minute how often it
// did so again (refusals.go). The one that is refused learns it too: gRPC would dial
// again for as long as it is let, so a [Caller] notes what the handshakes said and
// gives that as the error.
//
// # Where next
//
// internal/coord and internal/agent are the servers and callers.
package trust

// Package certs makes and reads the X.509 certificates with which the processes
// of a cluster prove to each other who they are.
//
// All processes trust one authority (--tls-ca), and each shows a certificate that
// it has signed (--tls-cert, --tls-key):
//
//	coordinator  names the hosts that it is reached at
//	node         names the node itself, see [CheckName]: neighbours want the name
//	             that the view has, whatever address it is reached at
//	person       names nobody and can be shown by clients alone, so who holds one
//	             can pose neither as the coordinator nor as a node
//
// [Init] makes an authority for development and small clusters, [Authority.Issue]
// what it signs. Nothing depends on them: [Load] takes PEM files from any
// authority, if their names are as above.
//
// # Where next
//
// internal/trust puts an Identity under gRPC.
package certs

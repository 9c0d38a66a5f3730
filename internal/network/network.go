// Package network is how a process reaches others: through the host's sockets, or
// through a simulation's. A nil [Network] is the host's.
package network

import (
	"context"
	"net"

	"google.golang.org/grpc"

	"parallax/internal/gossip"
)

// Network stands in for the host's sockets. Addresses are IP:PORT.
type Network interface {
	// Listen is net.Listen for TCP; port 0 is a free one.
	Listen(address string) (net.Listener, error)
	// Dial is net.Dialer.DialContext for TCP.
	Dial(ctx context.Context, address string) (net.Conn, error)
	// Gossip is what memberlist sends and receives through.
	Gossip() gossip.Transport
}

// Listen listens on n.
func Listen(n Network, address string) (net.Listener, error) {
	if n == nil {
		return net.Listen("tcp", address)
	}
	return n.Listen(address)
}

// DialOptions have gRPC dial through n.
func DialOptions(n Network) []grpc.DialOption {
	if n == nil {
		return nil
	}
	return []grpc.DialOption{grpc.WithContextDialer(n.Dial)}
}

// Dialer is how n is dialled outside gRPC: nil on the host's network.
func Dialer(n Network) func(context.Context, string) (net.Conn, error) {
	if n == nil {
		return nil
	}
	return n.Dial
}

// Gossip is the transport that gossip has on n: nil on the host's network, where
// memberlist opens its own.
func Gossip(n Network) gossip.Transport {
	if n == nil {
		return nil
	}
	return n.Gossip()
}

package agent

import (
	"fmt"

	"parallax/collective"
	"parallax/collective/grpcring"
	"parallax/internal/direct"
	"parallax/internal/network"
)

// Transport is what carries the ring's frames, and states to joiners. It changes no result.
type Transport string

const (
	// TCP has frames go over a connection of their own, which a gRPC stream has
	// negotiated, where the next rank offers one, and over that stream elsewhere.
	TCP Transport = "tcp"
	// GRPC has all frames go over the gRPC stream.
	GRPC Transport = "grpc"
)

// ParseTransport reads a transport's name.
func ParseTransport(name string) (Transport, error) {
	switch t := Transport(name); t {
	case TCP, GRPC:
		return t, nil
	}
	return "", fmt.Errorf("there is no ring transport %q: use %s or %s", name, TCP, GRPC)
}

// peerOptions say how another node is dialled. With TLS we link to it only if it has
// the certificate of its name.
func (a *agent) peerOptions(name string) []grpcring.Option {
	options := []grpcring.Option{grpcring.WithDialOptions(network.DialOptions(a.o.Network)...)}
	if a.o.Trust.Secure() {
		options = append(options, grpcring.WithDialOptions(a.o.Trust.Node(name).DialOptions()...))
	}
	return options
}

// linkOptions say how the next rank is linked to.
func (t *training) linkOptions(cfg collective.Config) []grpcring.Option {
	next := cfg.Members[(cfg.Rank+1)%len(cfg.Members)].Name
	options := t.peerOptions(next)
	if dialer := t.directDialer(next); dialer != nil {
		options = append(options, grpcring.WithDirect(*dialer))
	}
	return options
}

// directDialer makes direct connections to another node; nil: there are to be none.
func (a *agent) directDialer(name string) *direct.Dialer {
	if a.o.Transport == GRPC {
		return nil
	}
	return &direct.Dialer{
		Credentials: a.o.Trust.Node(name).Credentials(),
		Dial:        network.Dialer(a.o.Network),
		Notice:      func(sentence string) { a.log.Warn(sentence) },
	}
}

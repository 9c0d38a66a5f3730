package trust

import (
	"context"
	"fmt"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"parallax/internal/certs"
)

// CheckPeer says why the other side of a call, whose context it is, is not the
// node of that name. Where there is no TLS nobody can know, and it says nothing.
func CheckPeer(ctx context.Context, name string) error {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return fmt.Errorf("nobody knows where the call comes from")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return nil
	}
	if len(info.State.PeerCertificates) == 0 {
		return fmt.Errorf("it shows no certificate")
	}
	if err := certs.CheckName(info.State.PeerCertificates[0], name); err != nil {
		return fmt.Errorf("the certificate that it shows %w", err)
	}
	return nil
}

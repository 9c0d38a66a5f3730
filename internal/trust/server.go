package trust

import (
	"context"
	"log/slog"
	"net"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"parallax/internal/certs"
)

// ServerCredentials let in who shows a certificate of our authority. Who is not
// let in is told, and logged once per host and reason.
func (t Trust) ServerCredentials(log *slog.Logger) credentials.TransportCredentials {
	return t.serverCredentials(&refusals{log: log})
}

func (t Trust) serverCredentials(r *refusals) credentials.TransportCredentials {
	if !t.Secure() {
		return insecure.NewCredentials()
	}
	return &serverCreds{credentials.NewTLS(t.identity.ServerConfig()), r}
}

// ServerOptions are the credentials, and want the token in every call.
func (t Trust) ServerOptions(log *slog.Logger) []grpc.ServerOption {
	r := &refusals{log: log}
	options := []grpc.ServerOption{grpc.Creds(t.serverCredentials(r))}
	if t.token == nil {
		return options
	}
	return append(options,
		grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			if err := t.admit(ctx, r); err != nil {
				return nil, err
			}
			return next(ctx, req)
		}),
		grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			if err := t.admit(stream.Context(), r); err != nil {
				return err
			}
			return next(srv, stream)
		}))
}

// admit checks a call's token.
func (t Trust) admit(ctx context.Context, r *refusals) error {
	err := t.token.check(ctx)
	if err == nil {
		return nil
	}
	if p, ok := peer.FromContext(ctx); ok {
		r.tell(p.Addr, err.Error())
	}
	return status.Error(codes.Unauthenticated, err.Error())
}

// serverCreds are TLS that says whom it refuses.
type serverCreds struct {
	credentials.TransportCredentials
	refusals *refusals
}

// ServerHandshake implements credentials.TransportCredentials.
func (s *serverCreds) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := s.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		if clause, refused := certs.Explain(err); refused {
			s.refusals.tell(raw.RemoteAddr(), clause)
		}
	}
	return conn, info, err
}

// Clone implements credentials.TransportCredentials.
func (s *serverCreds) Clone() credentials.TransportCredentials {
	return &serverCreds{s.TransportCredentials.Clone(), s.refusals}
}

// refusals logs each reason once per host, since who is refused comes again.
type refusals struct {
	log  *slog.Logger
	mu   sync.Mutex
	told map[string]bool
}

// maxTold bounds what strangers can make us remember.
const maxTold = 1024

func (r *refusals) tell(from net.Addr, why string) {
	host, _, err := net.SplitHostPort(from.String())
	if err != nil {
		host = from.String()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.told[host+why] {
		return
	}
	if r.told == nil || len(r.told) >= maxTold {
		r.told = make(map[string]bool)
	}
	r.told[host+why] = true
	r.log.Warn("refused a connection", "from", host, "because", why)
}

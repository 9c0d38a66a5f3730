package trust

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"path"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"parallax/internal/certs"
)

// ServerCredentials let in who shows a certificate of our authority. Who is not
// let in is told, and logged: the first time, and then how often within a minute.
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
		grpc.UnaryInterceptor(func(ctx context.Context, req any, call *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			if err := t.admit(ctx, call.FullMethod, r); err != nil {
				return nil, err
			}
			return next(ctx, req)
		}),
		grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, call *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			if err := t.admit(stream.Context(), call.FullMethod, r); err != nil {
				return err
			}
			return next(srv, stream)
		}))
}

// admit checks a call's token.
func (t Trust) admit(ctx context.Context, method string, r *refusals) error {
	flaw := t.token.check(ctx)
	if flaw == nil {
		return nil
	}
	if p, ok := peer.FromContext(ctx); ok {
		r.tell(p.Addr, caller(p, method), flaw.logged)
	}
	return status.Error(codes.Unauthenticated, flaw.told)
}

// caller says in words who makes a call.
func caller(p *peer.Peer, method string) visitor {
	what := map[string]string{"Attach": "a node", "Submit": "a request to submit a run", "Follow": "a request to follow the run", "Stop": "a request to stop the run"}[path.Base(method)]
	v := visitor{what: cmp.Or(what, "a call of "+path.Base(method))}
	if info, ok := p.AuthInfo.(credentials.TLSInfo); ok && len(info.State.PeerCertificates) > 0 {
		v.certificate = certs.Whose(info.State.PeerCertificates[0])
	}
	return v
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
		if clause, refused := certs.ExplainCaller(err); refused {
			s.refusals.tell(raw.RemoteAddr(), visitor{what: "a connection"}, clause)
		}
	}
	return conn, info, err
}

// Clone implements credentials.TransportCredentials.
func (s *serverCreds) Clone() credentials.TransportCredentials {
	return &serverCreds{s.TransportCredentials.Clone(), s.refusals}
}

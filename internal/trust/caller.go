package trust

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"parallax/internal/certs"
)

// Caller is the client's side of the connections to one server. It notes what
// gRPC would only try again: that one of the two sides refuses the other.
type Caller struct {
	creds   credentials.TransportCredentials
	token   token
	secure  bool
	refused func(error) // may be nil
	host    bool        // the server's certificate must be for the host that is dialled

	mu  sync.Mutex
	err *Refusal // once there was one
}

// Refusal is why one side of a connection does not want the other. Trying again
// does not help.
type Refusal struct{ Why string }

func (r *Refusal) Error() string { return r.Why }

// Coordinator calls the coordinator, which must have a certificate for the host
// that is dialled. Refused, unless it is nil, is told of a *Refusal at once: for
// calls that wait until the server is there.
func (t Trust) Coordinator(refused func(error)) *Caller {
	c := t.caller("")
	c.token, c.refused, c.host = t.token, refused, true
	return c
}

// Node calls the node of that name, which must have the certificate of that name
// wherever it is reached.
func (t Trust) Node(name string) *Caller { return t.caller(name) }

func (t Trust) caller(server string) *Caller {
	c := &Caller{creds: insecure.NewCredentials(), secure: t.Secure()}
	if t.Secure() {
		c.creds = credentials.NewTLS(t.identity.ClientConfig(server))
	}
	return c
}

// Credentials are for connections of another protocol than gRPC; nil: without TLS.
func (c *Caller) Credentials() credentials.TransportCredentials {
	if !c.secure {
		return nil
	}
	return &callerCreds{c.creds, c}
}

// DialOptions are what a connection needs. Calls that cannot be made because of a
// refusal fail with the code Unauthenticated and the reason.
func (c *Caller) DialOptions() []grpc.DialOption {
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(&callerCreds{c.creds, c}),
		grpc.WithChainUnaryInterceptor(c.unary),
		grpc.WithChainStreamInterceptor(c.stream),
	}
	if c.token != nil {
		options = append(options, grpc.WithPerRPCCredentials(perCall{c.token, c.secure}))
	}
	return options
}

func (c *Caller) unary(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return c.explain(invoke(ctx, method, req, reply, conn, opts...))
}

func (c *Caller) stream(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	stream, err := open(ctx, desc, conn, method, opts...)
	return stream, c.explain(err)
}

// explain gives the reason for which no connection came about, if it is known.
func (c *Caller) explain(err error) error {
	if status.Code(err) != codes.Unavailable {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return status.Error(codes.Unauthenticated, c.err.Why)
	}
	return err
}

// refuse notes a refusal.
func (c *Caller) refuse(why string) {
	refusal := &Refusal{why}
	c.mu.Lock()
	first := c.err == nil
	if first {
		c.err = refusal
	}
	c.mu.Unlock()
	if first && c.refused != nil {
		c.refused(refusal)
	}
}

// cut notes why a server has hung up before it said anything. With TLS 1.3 that is
// how a client learns that its certificate is refused; one without TLS learns
// nothing, and has to ask.
func (c *Caller) cut(server net.Addr, err error) {
	clause, refused := certs.Explain(err)
	switch {
	case errors.Is(err, net.ErrClosed): // it was us
	case refused:
		c.refuse(clause)
	case !c.secure && speaksTLS(server):
		c.refuse("it speaks nothing but TLS: give --tls-ca, --tls-cert and --tls-key")
	}
}

// probing is how long a server may take to show that it speaks TLS.
const probing = time.Second

// speaksTLS finds out whether a server does; whether we believe it is not asked.
func speaksTLS(server net.Addr) bool {
	ctx, cancel := context.WithTimeout(context.Background(), probing)
	defer cancel()
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}}
	conn, err := dialer.DialContext(ctx, server.Network(), server.String())
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// callerCreds tell their caller how handshakes end.
type callerCreds struct {
	credentials.TransportCredentials
	caller *Caller
}

// ClientHandshake implements credentials.TransportCredentials.
func (k *callerCreds) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := k.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err == nil {
		return &watched{Conn: conn, caller: k.caller}, info, nil
	}
	if clause, refused := certs.Explain(err); refused {
		k.caller.refuse(clause + k.caller.wayOut(err))
	}
	return nil, nil, err
}

// wayOut says what can be done about a certificate that is for other hosts.
func (c *Caller) wayOut(err error) string {
	var other x509.HostnameError
	if !c.host || !errors.As(err, &other) {
		return ""
	}
	return fmt.Sprintf("; call it by a name that the certificate has, or give it one for this name (parallax certs issue DIR coordinator %s)", other.Host)
}

// Clone implements credentials.TransportCredentials.
func (k *callerCreds) Clone() credentials.TransportCredentials {
	return &callerCreds{k.TransportCredentials.Clone(), k.caller}
}

// watched is a connection whose first read is told.
type watched struct {
	net.Conn
	caller *Caller
	mu     sync.Mutex // held while it is told
	told   atomic.Bool
}

// Read implements net.Conn.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.tell(n > 0, err)
	return n, err
}

// lastWords is how long the other side's reason may take that has hung up.
const lastWords = time.Second

// Write implements net.Conn. One that fails at the very start may have overtaken
// the reason, which lies in the connection still to be read.
func (w *watched) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	if err != nil && !w.told.Load() {
		_ = w.Conn.SetReadDeadline(time.Now().Add(lastWords))
		_, why := w.Conn.Read(make([]byte, 1))
		w.tell(why == nil, why)
	}
	return n, err
}

func (w *watched) tell(something bool, err error) {
	if w.told.Load() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.told.Load() {
		return
	}
	if !something {
		w.caller.cut(w.RemoteAddr(), err)
	}
	w.told.Store(true)
}

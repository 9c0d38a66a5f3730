package trust

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"parallax/internal/certs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second // a test that waits longer has failed

// pki is an authority and what it has issued.
type pki struct {
	t *testing.T
	a *certs.Authority
}

func newPKI(t *testing.T) pki {
	t.Helper()
	a, err := certs.Init(filepath.Join(t.TempDir(), "pki"), "test", 10)
	if err != nil {
		t.Fatal(err)
	}
	return pki{t, a}
}

// load issues a certificate and loads it, with the token if it is not "".
func (p pki) load(role certs.Role, name, token string, hosts ...string) Trust {
	p.t.Helper()
	files, err := p.a.Issue(certs.Request{Role: role, Name: name, Hosts: hosts, Days: 1})
	if err != nil {
		p.t.Fatal(err)
	}
	return load(p.t, files, token)
}

func load(t *testing.T, files certs.Files, token string) Trust {
	t.Helper()
	f := Files{TLS: files}
	if token != "" {
		f.Token = write(t, token+"\n")
	}
	trust, err := Load(f)
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func wantError(t *testing.T, err error, want ...string) {
	t.Helper()
	for _, w := range want {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("got %v, want an error with %q", err, w)
		}
	}
}

// serve starts a server that answers whoever it trusts, if it has the name that is
// asked for ("": any). The log is that of the server until it is asked for, which
// ends it.
func serve(t *testing.T, server Trust, name string) (address string, log func() string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	lines := new(strings.Builder) // slog locks it
	g := grpc.NewServer(server.ServerOptions(slog.New(slog.NewTextHandler(lines, nil)))...)
	healthpb.RegisterHealthServer(g, named{health.NewServer(), name})
	go g.Serve(listener)
	t.Cleanup(g.Stop)
	return listener.Addr().String(), func() string {
		g.Stop() // waits for handshakes
		return lines.String()
	}
}

type named struct {
	*health.Server
	name string
}

func (n named) Check(ctx context.Context, r *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	if n.name != "" {
		if err := CheckPeer(ctx, n.name); err != nil {
			return nil, status.Error(codes.PermissionDenied, err.Error())
		}
	}
	return n.Server.Check(ctx, r)
}

func call(t *testing.T, address string, caller *Caller, opts ...grpc.CallOption) error {
	t.Helper()
	conn, err := grpc.NewClient(address, caller.DialOptions()...)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err = healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{}, opts...)
	if err != nil && ctx.Err() != nil {
		t.Errorf("the call hung: %v", err)
	}
	return err
}

// TestCalls: who is let in, what a caller is told who is not, and what the
// server's log says of it.
func TestCalls(t *testing.T) {
	ours, theirs := newPKI(t), newPKI(t)
	const token, other = "a token of our cluster", "a token of another one"
	server := ours.load(certs.Coordinator, "coordinator", token, "127.0.0.1")
	elsewhere := ours.load(certs.Coordinator, "elsewhere", token, "10.0.0.1")
	node := ours.load(certs.Node, "gpu07", token)
	plain := load(t, certs.Files{}, token)
	for name, test := range map[string]struct {
		server, client Trust
		told, logged   string
	}{
		"good":            {server, node, "", ""},
		"loopback":        {plain, plain, "", ""},
		"foreign":         {server, theirs.load(certs.Node, "gpu07", token), "not signed by an authority that is trusted here: --tls-ca must be the ca.pem of the authority that has signed it", "its --tls-ca must hold the authority that has signed our --tls-cert"},
		"wrong host":      {elsewhere, node, "is for 10.0.0.1, not for 127.0.0.1; call it by a name that the certificate has, or give it one for this name (parallax certs issue DIR coordinator 127.0.0.1)", "refuses our certificate"},
		"plain client":    {server, plain, "speaks nothing but TLS", "does not speak TLS"},
		"plain server":    {plain, node, "does not speak TLS", ""},
		"no token":        {server, ours.load(certs.Node, "gpu08", ""), "the coordinator's", "from=127.0.0.1 certificate=\"for gpu08, signed by test\" because=\"it shows no join token: it needs --join-token-file with a copy of ours"},
		"other token":     {server, ours.load(certs.Node, "gpu09", other), "another join token was shown", "must be a copy of ours"},
		"no token, plain": {plain, Trust{}, "no join token was shown", "shows no join token"},
	} {
		t.Run(name, func(t *testing.T) {
			address, log := serve(t, test.server, "")
			err := call(t, address, test.client.Coordinator(nil))
			if test.told == "" {
				if said := log(); err != nil || said != "" {
					t.Errorf("%v, logged %q", err, said)
				}
				return
			}
			wantError(t, err, test.told)
			if status.Code(err) != codes.Unauthenticated {
				t.Errorf("the code is %v", status.Code(err))
			}
			if said := log(); !strings.Contains(said, test.logged) {
				t.Errorf("logged %q, want %q", said, test.logged)
			}
		})
	}
}

// TestClientsCertificateIsRefused: with TLS 1.3 a client thinks that the handshake
// went well, and learns of the refusal behind it.
func TestClientsCertificateIsRefused(t *testing.T) {
	ours, theirs := newPKI(t), newPKI(t)
	address, log := serve(t, ours.load(certs.Coordinator, "coordinator", "", "127.0.0.1"), "")
	stranger := theirs.load(certs.Node, "gpu07", "")
	believing := stranger.identity.ClientConfig("")
	believing.InsecureSkipVerify = true
	for range 2 { // and it is logged once a minute
		err := call(t, address, callerWith(believing))
		wantError(t, err, "it refuses our certificate: unknown certificate authority")
	}
	said := log()
	if n := strings.Count(said, "its certificate, for gpu07, signed by test, is not signed by an authority that is trusted here: it needs one that the authority of our --tls-ca has signed"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, said)
	}
}

// callerWith calls with a configuration of its own.
func callerWith(config *tls.Config) *Caller {
	return &Caller{creds: credentials.NewTLS(config), secure: true}
}

// TestWaitingCallsLearnOfRefusals: a call that would wait for the server for ever
// is given up when there is nothing to wait for.
func TestWaitingCallsLearnOfRefusals(t *testing.T) {
	ours, theirs := newPKI(t), newPKI(t)
	address, _ := serve(t, ours.load(certs.Coordinator, "coordinator", "", "127.0.0.1"), "")
	for want, client := range map[string]Trust{"not signed by": theirs.load(certs.Node, "gpu07", ""), "speaks nothing but TLS": {}} {
		ctx, refused := context.WithCancelCause(t.Context())
		conn, err := grpc.NewClient(address, client.Coordinator(refused).DialOptions()...)
		if err != nil {
			t.Fatal(err)
		}
		_, err = healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{}, grpc.WaitForReady(true))
		conn.Close()
		var refusal *Refusal
		if err == nil || !errors.As(context.Cause(ctx), &refusal) {
			t.Errorf("%v, because of %v", err, context.Cause(ctx))
		}
		wantError(t, context.Cause(ctx), want)
	}
}

// TestHangingUpIsNoRefusal: a proxy whose server is not there yet hangs up on
// everybody, and is worth waiting for.
func TestHangingUpIsNoRefusal(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	for _, client := range []Trust{{}, newPKI(t).load(certs.Person, "ann", "")} {
		if err := call(t, listener.Addr().String(), client.Coordinator(nil)); status.Code(err) != codes.Unavailable {
			t.Errorf("got %v", err)
		}
	}
}

// TestNamesAreChecked: a node is who its certificate says, on both ends.
func TestNamesAreChecked(t *testing.T) {
	ours := newPKI(t)
	server, client := ours.load(certs.Node, "gpu08", ""), ours.load(certs.Node, "gpu07", "")
	ann := ours.load(certs.Person, "ann", "")
	address, _ := serve(t, server, "gpu07")
	if err := call(t, address, client.Node("gpu08")); err != nil {
		t.Errorf("gpu07 calling gpu08: %v", err)
	}
	wantError(t, call(t, address, client.Node("gpu09")), "its certificate is for gpu08, not for gpu09")
	wantError(t, call(t, address, ours.load(certs.Node, "gpu06", "").Node("gpu08")), "the certificate that it shows is for gpu06, not for node gpu07")
	address, _ = serve(t, server, "ann")
	wantError(t, call(t, address, ann.Node("gpu08")), "is a client's")
}

func TestAddressesAreChecked(t *testing.T) {
	secure := newPKI(t).load(certs.Node, "gpu07", "0123456789abcdef")
	token := load(t, certs.Files{}, "0123456789abcdef")
	for _, test := range []struct {
		trust    Trust
		address  string
		insecure bool
		want     string
	}{
		{Trust{}, "127.0.0.1:1", false, ""},
		{Trust{}, "localhost:1", false, ""},
		{Trust{}, "[::1]:1", false, ""},
		{Trust{}, "0.0.0.0:1", true, ""},
		{secure, "0.0.0.0:1", false, ""},
		{token, "127.0.0.1:1", false, ""},
		{Trust{}, "0.0.0.0:1", false, "--insecure"},
		{Trust{}, ":1", false, "--insecure"},
		{Trust{}, "gpu07:1", false, "--insecure"},
		{token, "gpu07:1", true, "could be read on the way"},
		{secure, "gpu07", false, "want HOST:PORT"},
	} {
		err := test.trust.CheckAddress("--listen", test.address, test.insecure)
		if test.want == "" && err != nil {
			t.Errorf("%s: %v", test.address, err)
		} else if test.want != "" {
			wantError(t, err, "--listen", test.want)
		}
	}
}

func TestFilesAreChecked(t *testing.T) {
	files, err := newPKI(t).a.Issue(certs.Request{Role: certs.Node, Name: "gpu07", Days: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		files Files
		want  []string
	}{
		{Files{TLS: certs.Files{CA: files.CA}}, []string{"--tls-ca " + files.CA + " without --tls-cert and --tls-key"}},
		{Files{TLS: certs.Files{Cert: files.Cert, Key: files.Key}}, []string{"--tls-cert", "--tls-key", "without --tls-ca"}},
		{Files{TLS: certs.Files{CA: files.CA, Cert: files.Cert, Key: files.CA}}, []string{files.Cert, files.CA}},
		{Files{Token: "/nowhere"}, []string{"--join-token-file", "/nowhere"}},
		{Files{Token: write(t, "short")}, []string{"--join-token-file", "5 bytes"}},
		{Files{Token: write(t, strings.Repeat("x", 2000))}, []string{"2000 bytes"}},
		{Files{Token: t.TempDir()}, []string{"is no file"}},
		{Files{Token: write(t, "\n")}, []string{"holds no join token; make one with: parallax certs join-token > FILE"}},
		{Files{Token: os.DevNull}, []string{"--join-token-file " + os.DevNull + " holds no join token", "parallax certs join-token"}},
	} {
		_, err := Load(test.files)
		wantError(t, err, test.want...)
	}
}

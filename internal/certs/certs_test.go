package certs_test

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parallax/internal/certs"
)

// authority makes a new one and returns it with its folder.
func authority(t *testing.T) (*certs.Authority, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "pki")
	a, err := certs.Init(dir, "test authority", certs.AuthorityDays)
	if err != nil {
		t.Fatal(err)
	}
	return a, dir
}

func issue(t *testing.T, a *certs.Authority, role certs.Role, name string, hosts ...string) certs.Files {
	t.Helper()
	files, err := a.Issue(certs.Request{Role: role, Name: name, Hosts: hosts, Days: certs.IssuedDays})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func load(t *testing.T, files certs.Files) *certs.Identity {
	t.Helper()
	id, err := certs.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func wantError(t *testing.T, err error, want ...string) {
	t.Helper()
	for _, w := range want {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("got %v, want an error with %q", err, w)
		}
	}
}

func TestFilesAreProtected(t *testing.T) {
	a, dir := authority(t)
	files := issue(t, a, certs.Node, "gpu07")
	for path, want := range map[string]fs.FileMode{
		filepath.Join(dir, "ca.key"): 0o600, filepath.Join(dir, "ca.pem"): 0o644,
		files.Key: 0o600, files.Cert: 0o644, files.CA: 0o644,
	} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm()&^want != 0 || info.Mode().Perm()&0o600 != 0o600 { // a umask may take more away
			t.Errorf("%s: %v, %v; want mode %v", path, info, err, want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".new-*")); len(left) > 0 {
		t.Errorf("%v is left over", left)
	}
}

func TestNothingIsOverwritten(t *testing.T) {
	a, dir := authority(t)
	files := issue(t, a, certs.Node, "gpu07")
	before, err := os.ReadFile(files.Key)
	if err != nil {
		t.Fatal(err)
	}
	_, err = certs.Init(dir, "another", 1)
	wantError(t, err, "ca.key is there already")
	_, err = a.Issue(certs.Request{Role: certs.Node, Name: "gpu07", Days: 1})
	wantError(t, err, "gpu07 is there already")
	if after, _ := os.ReadFile(files.Key); string(after) != string(before) {
		t.Error("the key has changed")
	}
	if _, err := certs.Open(dir); err != nil {
		t.Error(err)
	}
}

func TestLifetimesAndNames(t *testing.T) {
	a, dir := authority(t)
	files, err := a.Issue(certs.Request{Role: certs.Node, Name: "gpu07", Hosts: []string{"10.0.0.7", "gpu07.cluster"}, Days: 30000})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	leaf := pair.Leaf
	if leaf.NotAfter.After(a.Until()) || leaf.NotBefore.After(time.Now()) {
		t.Errorf("valid from %v until %v, the authority until %v", leaf.NotBefore, leaf.NotAfter, a.Until())
	}
	for _, name := range []string{"gpu07", "10.0.0.7", "gpu07.cluster"} {
		if err := certs.CheckName(leaf, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantError(t, certs.CheckName(leaf, "gpu08"), "is for gpu07, gpu07.cluster, 10.0.0.7, not for node gpu08")
	opened, err := certs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	load(t, issue(t, opened, certs.Coordinator, "head", "head.cluster"))
}

func TestRequestsAreChecked(t *testing.T) {
	a, _ := authority(t)
	for want, r := range map[string]certs.Request{
		"cannot name a certificate":       {Role: certs.Node, Name: "../x", Days: 1},
		"cannot name a certificate: use":  {Role: certs.Node, Name: "", Days: 1},
		"neither the name of a host":      {Role: certs.Node, Name: "a", Hosts: []string{"b c"}, Days: 1},
		"names no hosts":                  {Role: certs.Person, Name: "ann", Hosts: []string{"b"}, Days: 1},
		"which host does the coordinator": {Role: certs.Coordinator, Name: "head", Days: 1},
		`no certificates for a "king"`:    {Role: "king", Name: "a", Days: 1},
		"for 0 days":                      {Role: certs.Node, Name: "a"},
		"ca.key is there already":         {Role: certs.Node, Name: "ca.key", Days: 1},
	} {
		_, err := a.Issue(r)
		wantError(t, err, want)
	}
	_, err := certs.Init(t.TempDir(), "x", 0)
	wantError(t, err, "0 days")
	_, err = certs.Open(t.TempDir())
	wantError(t, err, "parallax certs init")
}

func TestLoadRefuses(t *testing.T) {
	a, _ := authority(t)
	other, _ := authority(t)
	mine, foreign := issue(t, a, certs.Node, "gpu07"), issue(t, other, certs.Node, "gpu07")
	garbage := filepath.Join(t.TempDir(), "garbage.pem")
	if err := os.WriteFile(garbage, []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		files certs.Files
		want  []string
	}{
		"no authority": {certs.Files{CA: "/nowhere", Cert: mine.Cert, Key: mine.Key}, []string{"--tls-ca", "/nowhere"}},
		"garbage":      {certs.Files{CA: garbage, Cert: mine.Cert, Key: mine.Key}, []string{"--tls-ca", "garbage.pem holds no certificate"}},
		"no key":       {certs.Files{CA: mine.CA, Cert: mine.Cert, Key: "/nowhere"}, []string{"--tls-key", "/nowhere"}},
		"other key":    {certs.Files{CA: mine.CA, Cert: mine.Cert, Key: foreign.Key}, []string{"--tls-cert", "--tls-key", foreign.Key}},
		"foreign":      {certs.Files{CA: mine.CA, Cert: foreign.Cert, Key: foreign.Key}, []string{foreign.Cert, "not signed by an authority that is trusted here", mine.CA}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := certs.Load(test.files)
			wantError(t, err, test.want...)
		})
	}
}

func TestRolesAreKeptApart(t *testing.T) {
	a, _ := authority(t)
	node := load(t, issue(t, a, certs.Node, "gpu07"))
	ann := load(t, issue(t, a, certs.Person, "ann"))
	shared := load(t, issue(t, a, certs.Node, "gpu08", "head.cluster"))
	head := load(t, issue(t, a, certs.Coordinator, "coordinator", "head.cluster"))
	here, there := []string{"head.cluster"}, []string{"10.0.0.1", "gpu07"}
	for who, err := range map[string]error{
		"a node":                              node.CheckNode("gpu07"),
		"a coordinator":                       head.CheckCoordinator(here),
		"a coordinator known by another name": head.CheckCoordinator(there),
		"a coordinator on a node's host":      node.CheckCoordinator(there),
		"a coordinator with a node's":         shared.CheckCoordinator(here),
	} {
		if err != nil {
			t.Errorf("%s: %v", who, err)
		}
	}
	wantError(t, node.CheckNode("gpu08"), "is for gpu07, not for node gpu08", "certs issue DIR node gpu08", "--name")
	wantError(t, head.CheckNode("gpu08"), "is a coordinator's, for head.cluster, not for node gpu08", "certs issue DIR node gpu08")
	wantError(t, ann.CheckNode("ann"), "is a client's")
	wantError(t, ann.CheckCoordinator(here), "is a client's", "certs issue DIR coordinator head.cluster")
	wantError(t, node.CheckCoordinator(here), "is a node's, for gpu07, and does not name head.cluster", "certs issue DIR coordinator head.cluster", "--advertise")
}

func TestExpiredIsRefused(t *testing.T) {
	a, dir := authority(t)
	files := issue(t, a, certs.Node, "gpu07")
	signer, err := tls.LoadX509KeyPair(filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	for want, shift := range map[string]time.Duration{"has expired on ": -2 * 365 * 24 * time.Hour, "is the clock right?": 24 * time.Hour} {
		old := *pair.Leaf
		old.NotBefore, old.NotAfter = old.NotBefore.Add(shift), old.NotAfter.Add(shift)
		der, err := x509.CreateCertificate(rand.Reader, &old, signer.Leaf, old.PublicKey, signer.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
		if err := os.WriteFile(files.Cert, text, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err = certs.Load(files)
		wantError(t, err, "--tls-cert "+files.Cert, want)
	}
}

// TestRenewal: a certificate that is renewed while the process runs is shown from
// then on.
func TestRenewal(t *testing.T) {
	a, _ := authority(t)
	files := issue(t, a, certs.Node, "gpu07")
	config := load(t, files).ServerConfig()
	renewed := issue(t, a, certs.Node, "renewed")
	for _, move := range [][2]string{{renewed.Cert, files.Cert}, {renewed.Key, files.Key}} {
		if err := os.Rename(move[0], move[1]); err != nil {
			t.Fatal(err)
		}
	}
	shown, err := config.GetCertificate(nil)
	if err != nil || shown.Leaf.Subject.CommonName != "renewed" {
		t.Errorf("shows %v, %v", shown.Leaf.Subject, err)
	}
	if err := os.Remove(files.Key); err != nil {
		t.Fatal(err)
	}
	if shown, err = config.GetCertificate(nil); err != nil || shown.Leaf.Subject.CommonName != "gpu07" {
		t.Errorf("without its key it shows %v, %v", shown.Leaf.Subject, err)
	}
}

// TestHandshakes: what both sides say of each other.
func TestHandshakes(t *testing.T) {
	a, _ := authority(t)
	other, _ := authority(t)
	server := load(t, issue(t, a, certs.Coordinator, "head", "head.cluster"))
	node := load(t, issue(t, a, certs.Node, "gpu07"))
	foreign := load(t, issue(t, other, certs.Node, "gpu07"))
	ann := load(t, issue(t, a, certs.Person, "ann"))
	unshown := node.ClientConfig("head.cluster")
	unshown.GetClientCertificate = nil
	for name, test := range map[string]struct {
		server, client         *tls.Config
		serverSays, clientSays string
	}{
		"good":           {server.ServerConfig(), node.ClientConfig("head.cluster"), "", ""},
		"person":         {server.ServerConfig(), ann.ClientConfig("head.cluster"), "", ""},
		"foreign client": {server.ServerConfig(), &tls.Config{InsecureSkipVerify: true, Certificates: foreign.ClientConfig("").Certificates, GetClientCertificate: foreign.ClientConfig("").GetClientCertificate}, "not signed by an authority", "refuses our certificate: unknown certificate authority"},
		"foreign server": {foreign.ServerConfig(), node.ClientConfig("gpu07"), "refuses our certificate", "not signed by an authority that is trusted here"},
		"wrong name":     {server.ServerConfig(), node.ClientConfig("tail.cluster"), "refuses our certificate", "is for head.cluster, not for tail.cluster"},
		"no certificate": {server.ServerConfig(), unshown, "shows no certificate", "refuses our certificate: certificate required"},
		"posing person":  {ann.ServerConfig(), node.ClientConfig("ann"), "refuses our certificate", "its certificate is for no host (CN=ann"},
		"expired server": {server.ServerConfig(), later(node.ClientConfig("head.cluster")), "refuses our certificate", "its certificate has expired on "},
		"expired client": {later(server.ServerConfig()), node.ClientConfig("head.cluster"), "its certificate has expired on ", "refuses our certificate: expired certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			serverErr, clientErr := shakeHands(t, test.server, test.client)
			wantClause(t, serverErr, test.serverSays)
			wantClause(t, clientErr, test.clientSays)
		})
	}
}

func wantClause(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("failed: %v", err)
		}
		return
	}
	if err == nil {
		t.Errorf("no error, want %q", want)
		return
	}
	if clause, refused := certs.Explain(err); !refused || !strings.Contains(clause, want) {
		t.Errorf("%v is explained as %q (%v), want %q", err, clause, refused, want)
	}
}

// later is a configuration whose clock has gone on for two years.
func later(c *tls.Config) *tls.Config {
	c.Time = func() time.Time { return time.Now().AddDate(2, 0, 0) }
	return c
}

// shakeHands connects a client to a server, and has it read a byte.
func shakeHands(t *testing.T, server, client *tls.Config) (serverErr, clientErr error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	served := make(chan error, 1)
	go func() {
		raw, err := listener.Accept()
		if err != nil {
			served <- err
			return
		}
		defer raw.Close()
		conn := tls.Server(raw, server)
		if err := conn.Handshake(); err != nil {
			served <- err
			return
		}
		_, err = conn.Write([]byte("x"))
		served <- err
	}()
	raw, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	conn := tls.Client(raw, client)
	_, clientErr = conn.Read(make([]byte, 1))
	return <-served, clientErr
}

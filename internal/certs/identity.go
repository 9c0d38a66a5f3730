package certs

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Files are the PEM files of one process.
type Files struct {
	CA   string // the authorities that are trusted
	Cert string // our certificate, followed by intermediate ones
	Key  string // its private key
}

// Folder names the files in a folder that [Authority.Issue] has made.
func Folder(dir string) Files {
	return Files{filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
}

// Identity is what a process shows, and whom it believes.
type Identity struct {
	files Files
	roots *x509.CertPool
	first tls.Certificate // as loaded at start
}

// Load reads a process's files and checks that they belong together and are valid
// now. Errors name the flags and files.
func Load(f Files) (*Identity, error) {
	id := &Identity{files: f, roots: x509.NewCertPool()}
	authorities, err := readFile("--tls-ca", f.CA)
	if err != nil {
		return nil, err
	}
	if !id.roots.AppendCertsFromPEM(authorities) {
		return nil, fmt.Errorf("--tls-ca %s holds no certificate in PEM form", f.CA)
	}
	if id.first, err = id.read(); err != nil {
		return nil, err
	}
	return id, id.checkOwn()
}

// read reads our certificate and key.
func (id *Identity) read() (tls.Certificate, error) {
	cert, err := readFile("--tls-cert", id.files.Cert)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := readFile("--tls-key", id.files.Key)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return pair, fmt.Errorf("--tls-cert %s and --tls-key %s are not a certificate and its key: %w", id.files.Cert, id.files.Key, err)
	}
	return pair, nil
}

// maxFile bounds what is read: a bundle of all the world's authorities is smaller.
const maxFile = 4 << 20

func readFile(flag, path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("more than %d bytes", maxFile)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s cannot be read: %w", flag, path, err)
	}
	return data, nil
}

// checkOwn refuses a certificate that no other process of the cluster would
// accept.
func (id *Identity) checkOwn() error {
	intermediates := x509.NewCertPool()
	for _, der := range id.first.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil {
			intermediates.AddCert(c)
		}
	}
	_, err := id.first.Leaf.Verify(x509.VerifyOptions{
		Roots: id.roots, Intermediates: intermediates, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return fmt.Errorf("the certificate of --tls-cert %s %s (--tls-ca is %s)", id.files.Cert, flaw(err), id.files.CA)
	}
	return nil
}

// CheckNode says why a process with this identity cannot be the node of that
// name, or its server, where it cannot.
func (id *Identity) CheckNode(name string) error {
	err := CheckName(id.first.Leaf, name)
	if err == nil {
		return nil
	}
	way := fmt.Sprintf("give it a certificate of its own (parallax certs issue DIR node %s)", name)
	if issuedFor(id.first.Leaf, Node) {
		way += ", or the --name that the certificate is for"
	}
	return fmt.Errorf("the certificate of --tls-cert %s %w: %s", id.files.Cert, err, way)
}

// CheckCoordinator says why a process with this identity cannot be the coordinator
// that is reached at one of the hosts. A node's certificate does where it names one of
// them. A coordinator's may name others, by which nodes know it.
func (id *Identity) CheckCoordinator(hosts []string) error {
	own, fault, way := id.first.Leaf, "", ""
	switch {
	case !mayServe(own):
		fault = "a client's, such as people have"
	case slices.ContainsFunc(hosts, func(host string) bool { return own.VerifyHostname(host) == nil }):
		return nil
	case len(own.DNSNames)+len(own.IPAddresses) == 0:
		fault = "for " + names(own)
	case issuedFor(own, Node):
		fault = fmt.Sprintf("a node's, for %s, and does not name %s, where this coordinator is reached", names(own), hosts[0])
		way = ", or say with --advertise by which of those names it is reached"
	default:
		return nil
	}
	return fmt.Errorf("the certificate of --tls-cert %s is %s, so every node would refuse this coordinator: "+
		"give it a certificate of its own (parallax certs issue DIR coordinator %s)%s", id.files.Cert, fault, hosts[0], way)
}

// issuedFor reports whether [Authority.Issue] has made a certificate for that role.
func issuedFor(c *x509.Certificate, r Role) bool {
	return slices.Contains(c.Subject.OrganizationalUnit, string(r))
}

// CheckName says why a certificate cannot stand for the node of that name: node
// names are looked for among the hosts and IP addresses that it names.
func CheckName(c *x509.Certificate, name string) error {
	if !mayServe(c) {
		return fmt.Errorf("is a client's, such as people have, and cannot stand for node %s", name)
	}
	if err := c.VerifyHostname(name); err != nil {
		whose := "for"
		if issuedFor(c, Coordinator) {
			whose = "a coordinator's, for"
		}
		return fmt.Errorf("is %s %s, not for node %s", whose, names(c), name)
	}
	return nil
}

func mayServe(c *x509.Certificate) bool {
	return slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}

// names lists whom a certificate names.
func names(c *x509.Certificate) string {
	all := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 {
		return "no host (" + c.Subject.String() + ")"
	}
	return strings.Join(all, ", ")
}

// ServerConfig accepts those who show a certificate of a trusted authority.
func (id *Identity) ServerConfig() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS13,
		ClientAuth:     tls.RequireAndVerifyClientCert,
		ClientCAs:      id.roots,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return id.current(), nil },

		DynamicRecordSizingDisabled: true, // what travels is tensors
	}
}

// ClientConfig believes a server that shows a certificate of a trusted authority
// for that name; "" is the host that is dialled.
func (id *Identity) ClientConfig(server string) *tls.Config {
	return &tls.Config{
		MinVersion:           tls.VersionTLS13,
		RootCAs:              id.roots,
		ServerName:           server,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return id.current(), nil },

		DynamicRecordSizingDisabled: true, // what travels is tensors
	}
}

// current reads our certificate anew, so that one can be renewed while a run
// lasts. The one of the start stays where the files have become unusable.
func (id *Identity) current() *tls.Certificate {
	if now, err := id.read(); err == nil {
		return &now
	}
	return &id.first
}

package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"
)

// Role is whom a certificate is for.
type Role string

// The roles.
const (
	Coordinator Role = "coordinator"
	Node        Role = "node"
	Person      Role = "person"
)

// Request asks for a certificate.
type Request struct {
	Role  Role
	Name  string   // of the folder, and of a node or person
	Hosts []string // more names and IP addresses
	Days  int
}

// name matches what can name a folder and a node.
var name = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// host matches names in a certificate; "*." stands for all hosts of a domain.
var host = regexp.MustCompile(`^(\*\.)?[A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$`)

func (r *Request) check() error {
	switch {
	case !name.MatchString(r.Name):
		return fmt.Errorf("%q cannot name a certificate: use letters, digits, dots, hyphens and underscores, a letter or digit first, 64 at most", r.Name)
	case r.Role == Person && len(r.Hosts) > 0:
		return fmt.Errorf("a person's certificate names no hosts, leave out %v", r.Hosts)
	case r.Role == Coordinator && len(r.Hosts) == 0:
		return fmt.Errorf("which host does the coordinator run on? name it as nodes and people will")
	case !slices.Contains([]Role{Coordinator, Node, Person}, r.Role):
		return fmt.Errorf("there are no certificates for a %q; choose coordinator, node or person", string(r.Role))
	case r.Days < 1 || r.Days > maxDays:
		return fmt.Errorf("a certificate for %d days makes no sense; use 1 to %d", r.Days, maxDays)
	}
	for _, h := range r.Hosts {
		if net.ParseIP(h) == nil && !host.MatchString(h) {
			return fmt.Errorf("%q is neither the name of a host nor an IP address", h)
		}
	}
	return nil
}

// Issue makes a key and signs a certificate for it. It returns them in a new
// folder of the authority's, named r.Name, with the authority's own certificate:
// all that a process needs. A folder that is there already is not touched.
func (a *Authority) Issue(r Request) (Files, error) {
	if err := r.check(); err != nil {
		return Files{}, err
	}
	folder := filepath.Join(a.dir, r.Name)
	if _, err := os.Lstat(folder); err == nil {
		return Files{}, fmt.Errorf("%s is there already and is not overwritten; move it away to issue a new one", folder)
	}
	building, err := os.MkdirTemp(a.dir, ".new-*")
	if err != nil {
		return Files{}, err
	}
	defer os.RemoveAll(building)
	if err := a.fill(Folder(building), r); err != nil {
		return Files{}, err
	}
	if err := os.Chmod(building, 0o755); err != nil {
		return Files{}, err
	}
	return Folder(folder), os.Rename(building, folder)
}

// fill writes the three files.
func (a *Authority) fill(f Files, r Request) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificate(rand.Reader, a.template(r), a.cert, key.Public(), a.key)
	if err != nil {
		return err
	}
	if err := writeKey(f.Key, key); err != nil {
		return err
	}
	if err := writeNew(f.Cert, 0o644, "CERTIFICATE", der); err != nil {
		return err
	}
	return writeNew(f.CA, 0o644, "CERTIFICATE", a.cert.Raw)
}

// template is the certificate that is asked for. It does not outlive the
// authority's.
func (a *Authority) template(r Request) *x509.Certificate {
	until := time.Now().AddDate(0, 0, r.Days)
	if until.After(a.cert.NotAfter) {
		until = a.cert.NotAfter
	}
	t := &x509.Certificate{
		Subject:               pkix.Name{CommonName: r.Name, OrganizationalUnit: []string{string(r.Role)}},
		NotBefore:             time.Now().Add(-skew),
		NotAfter:              until,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	if r.Role == Person {
		return t
	}
	t.ExtKeyUsage = append(t.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	names := r.Hosts
	if r.Role == Node {
		names = append([]string{r.Name}, r.Hosts...)
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	return t
}

package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Files of an authority's folder.
const (
	authorityCert = "ca.pem"
	authorityKey  = "ca.key"
)

// How long certificates last where nothing else is asked for.
const (
	AuthorityDays = 3650
	IssuedDays    = 365
)

// maxDays bounds what is asked for: more is a typing error.
const maxDays = 36500

// skew is how far clocks of hosts may lie apart when a certificate is new.
const skew = time.Hour

// Authority signs certificates.
type Authority struct {
	dir  string
	cert *x509.Certificate
	key  crypto.Signer
}

// Init makes a new authority in dir: its certificate, ca.pem, and its key, ca.key,
// which only the owner can read. One that is there already is not touched.
func Init(dir, name string, days int) (*Authority, error) {
	if days < 1 || days > maxDays {
		return nil, fmt.Errorf("an authority for %d days makes no sense; use 1 to %d", days, maxDays)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-skew),
		NotAfter:              time.Now().AddDate(0, 0, days),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	if err := writeKey(filepath.Join(dir, authorityKey), key); err != nil {
		return nil, err
	}
	if err := writeNew(filepath.Join(dir, authorityCert), 0o644, "CERTIFICATE", der); err != nil {
		return nil, err
	}
	return Open(dir)
}

// Open reads the authority that Init has made in dir.
func Open(dir string) (*Authority, error) {
	cert, key := filepath.Join(dir, authorityCert), filepath.Join(dir, authorityKey)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s holds no authority (%w); make one with: parallax certs init %s", dir, err, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("the authority in %s cannot be used: %w", dir, err)
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok || !pair.Leaf.IsCA {
		return nil, fmt.Errorf("%s is not an authority's certificate", cert)
	}
	return &Authority{dir: dir, cert: pair.Leaf, key: signer}, nil
}

// Until is when the authority's own certificate ends.
func (a *Authority) Until() time.Time { return a.cert.NotAfter }

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return writeNew(path, 0o600, "PRIVATE KEY", der)
}

// writeNew writes a PEM block to a file that is not there yet.
func writeNew(path string, mode os.FileMode, kind string, der []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already and is not overwritten; choose another folder, or move it away", path)
	}
	if err != nil {
		return err
	}
	return errors.Join(pem.Encode(file, &pem.Block{Type: kind, Bytes: der}), file.Close())
}

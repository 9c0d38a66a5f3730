package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// Explain says in a clause about the other side why a handshake failed. Refused
// is false where that is no verdict on anybody, but a connection that broke.
func Explain(err error) (clause string, refused bool) {
	var verification *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var remote *net.OpError
	switch {
	case errors.As(err, &verification) && errors.As(verification.Err, new(x509.UnknownAuthorityError)):
		return "its certificate " + flaw(verification.Err) + ": --tls-ca must be the ca.pem of the authority that has signed it", true
	case errors.As(err, &verification):
		return "its certificate " + flaw(verification.Err), true
	case errors.As(err, &record):
		return "it does not speak TLS: give --tls-ca, --tls-cert and --tls-key to both sides, or to neither", true
	case errors.As(err, &remote) && remote.Op == "remote error": // an alert, as crypto/tls reports it
		return "it refuses our certificate: " + strings.TrimPrefix(remote.Err.Error(), "tls: "), true
	case strings.Contains(err.Error(), "didn't provide a certificate"): // crypto/tls has no type for it
		return "it shows no certificate", true
	}
	return err.Error(), false
}

// ExplainCaller is [Explain] for whoever looks after the side that was called: it
// says whose certificate it was, and what the caller needs.
func ExplainCaller(err error) (clause string, refused bool) {
	clause, refused = Explain(err)
	var verification *tls.CertificateVerificationError
	var remote *net.OpError
	switch {
	case errors.As(err, &verification) && len(verification.UnverifiedCertificates) > 0:
		clause = fmt.Sprintf("its certificate, %s, %s: it needs one that the authority of our --tls-ca has signed",
			Whose(verification.UnverifiedCertificates[0]), flaw(verification.Err))
	case !refused, errors.As(err, new(tls.RecordHeaderError)):
	case errors.As(err, &remote):
		clause += ": its --tls-ca must hold the authority that has signed our --tls-cert, which must name the host or node that it calls"
	default:
		clause += ": it needs --tls-cert and --tls-key, signed by the authority of our --tls-ca"
	}
	return clause, refused
}

// Whose says whom a certificate names and who has signed it, in two hundred letters or so:
// a stranger may have written it.
func Whose(c *x509.Certificate) string {
	whom := names(c)
	if len(c.DNSNames)+len(c.IPAddresses) == 0 {
		whom = c.Subject.CommonName
	}
	return fmt.Sprintf("for %.100s, signed by %.100s", whom, c.Issuer.CommonName)
}

// flaw says in a predicate what is wrong with a certificate.
func flaw(err error) string {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	switch {
	case errors.As(err, &unknown):
		return "is not signed by an authority that is trusted here"
	case errors.As(err, &host):
		return fmt.Sprintf("is for %s, not for %s", names(host.Certificate), host.Host)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return period(invalid.Cert)
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return "is not one for this purpose (people's certificates are for clients alone)"
	}
	return "is not valid: " + err.Error()
}

// period says when a certificate is valid that is not valid now.
func period(c *x509.Certificate) string {
	if time.Now().Before(c.NotBefore) {
		return fmt.Sprintf("is valid only from %s on: is the clock right?", c.NotBefore.Format(time.RFC3339))
	}
	return fmt.Sprintf("has expired on %s", c.NotAfter.Format(time.RFC3339))
}

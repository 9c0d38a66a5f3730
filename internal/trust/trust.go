package trust

import (
	"fmt"
	"net"
	"strings"

	"parallax/internal/certs"
)

// Files say where a process finds what it proves itself with; "": it has none.
type Files struct {
	TLS   certs.Files
	Token string
}

// Trust is what a process shows to others and wants to be shown. The zero value
// is for loopback.
type Trust struct {
	identity *certs.Identity // nil: no TLS
	token    token           // nil: none
}

// Load reads the files. Errors name flags and files.
func Load(f Files) (t Trust, err error) {
	if err := f.complete(); err != nil {
		return t, err
	}
	if f.TLS.CA != "" {
		if t.identity, err = certs.Load(f.TLS); err != nil {
			return Trust{}, err
		}
	}
	if f.Token != "" {
		if t.token, err = loadToken(f.Token); err != nil {
			return Trust{}, err
		}
	}
	return t, nil
}

// complete refuses some of the three TLS files without the others.
func (f Files) complete() error {
	var given, missing []string
	for _, file := range []struct{ flag, path string }{
		{"--tls-ca", f.TLS.CA}, {"--tls-cert", f.TLS.Cert}, {"--tls-key", f.TLS.Key},
	} {
		if file.path == "" {
			missing = append(missing, file.flag)
		} else {
			given = append(given, file.flag+" "+file.path)
		}
	}
	if len(given) == 0 || len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("%s without %s: give all three files or none", strings.Join(given, " and "), strings.Join(missing, " and "))
}

// Secure reports whether there is TLS.
func (t Trust) Secure() bool { return t.identity != nil }

// CheckCoordinator says why a process with this identity cannot be the coordinator
// that is reached at one of the hosts.
func (t Trust) CheckCoordinator(hosts []string) error {
	if t.identity == nil {
		return nil
	}
	return t.identity.CheckCoordinator(hosts)
}

// CheckNode says why a process with this identity cannot be the node of that name.
func (t Trust) CheckNode(name string) error {
	if t.identity == nil {
		return nil
	}
	return t.identity.CheckNode(name)
}

// CheckAddress refuses an address (host:port) other than loopback without TLS:
// always for a token, which everybody on the way could read, and for anything
// else unless insecure says that the network is trusted.
func (t Trust) CheckAddress(flag, address string, insecure bool) error {
	host, _, err := net.SplitHostPort(address)
	switch {
	case err != nil:
		return fmt.Errorf("%s is %q, want HOST:PORT", flag, address)
	case t.Secure() || Loopback(host):
		return nil
	case t.token != nil:
		return fmt.Errorf("%s %s is another address than loopback, and without TLS the token of --join-token-file could be read on the way: give --tls-ca, --tls-cert and --tls-key too", flag, address)
	case insecure:
		return nil
	}
	return fmt.Errorf("%s %s is another address than loopback, and there is no TLS: give --tls-ca, --tls-cert and --tls-key, or allow it with --insecure on a network you trust", flag, address)
}

// Loopback reports whether a host (name or IP address) is this one, reached
// without a network.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"parallax/internal/certs"
	"parallax/internal/trust"
)

// simTLS is how the processes of a simulated cluster prove themselves to each
// other; all empty, they do not.
type simTLS struct {
	coordinator, nodes []string // flags
	us                 trust.Trust
}

// certify makes an authority in the run's folder, anew for every start, and
// certificates for the coordinator, the nodes, and us who follow it, and a key for gossip.
func (s *simCluster) certify(run simRun) (t simTLS, err error) {
	if !s.tls {
		return t, nil
	}
	dir := filepath.Join(run.dir, "tls")
	if err := os.RemoveAll(dir); err != nil {
		return t, err
	}
	authority, err := certs.Init(dir, "authority of run "+run.id, simDays)
	if err != nil {
		return t, err
	}
	var names []string
	for i := range s.nodes {
		names = append(names, fmt.Sprintf("node-%d", i))
	}
	issue := func(r certs.Request) (files certs.Files) {
		if err == nil {
			r.Days = simDays
			files, err = authority.Issue(r)
		}
		return files
	}
	t.coordinator = tlsFlags(issue(certs.Request{Role: certs.Coordinator, Name: "coordinator", Hosts: []string{"127.0.0.1"}}))
	t.nodes = tlsFlags(issue(certs.Request{Role: certs.Node, Name: "nodes", Hosts: names}))
	us := issue(certs.Request{Role: certs.Person, Name: "person"})
	key := filepath.Join(dir, "gossip.key")
	if err == nil {
		err = os.WriteFile(key, []byte(newSecret()+"\n"), 0o600)
	}
	t.coordinator = append(t.coordinator, "--gossip-key-file", key)
	if err == nil {
		t.us, err = trust.Load(trust.Files{TLS: us})
	}
	return t, err
}

// simDays is how long the certificates of a simulated cluster last.
const simDays = 30

func tlsFlags(f certs.Files) []string {
	return []string{"--tls-ca", f.CA, "--tls-cert", f.Cert, "--tls-key", f.Key}
}

// Package trusttest makes certificates for the tests of what goes over TLS.
package trusttest

import (
	"path/filepath"
	"testing"

	"parallax/internal/certs"
	"parallax/internal/trust"
)

// Identity is what a node of that name, and of further names, proves itself with, of an
// authority of its own.
func Identity(t testing.TB, name string, more ...string) trust.Trust {
	t.Helper()
	authority, err := certs.Init(filepath.Join(t.TempDir(), "pki"), "test", 1)
	if err != nil {
		t.Fatal(err)
	}
	files, err := authority.Issue(certs.Request{Role: certs.Node, Name: name, Hosts: more, Days: 1})
	if err != nil {
		t.Fatal(err)
	}
	who, err := trust.Load(trust.Files{TLS: files})
	if err != nil {
		t.Fatal(err)
	}
	return who
}

package direct

import (
	"net"
	"strings"
	"testing"
)

func TestSecrets(t *testing.T) {
	a, b := newSecret(), newSecret()
	if a.equal(b) || !a.equal(a) {
		t.Error("secrets are not told apart")
	}
	here, there := net.Pipe()
	defer here.Close()
	heard := make(chan secret, 1)
	go func() {
		s, _ := hear(there)
		heard <- s
		there.Close()
	}()
	if err := present(here, a); err == nil || !strings.Contains(err.Error(), "the secret was not accepted") {
		t.Errorf("a secret that nobody accepts: %v", err)
	}
	if !(<-heard).equal(a) {
		t.Error("another secret was heard")
	}
}

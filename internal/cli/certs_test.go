package cli_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// pki makes an authority with the certificates of a coordinator on loopback, two
// nodes and a person, and another authority's copy of the same.
func (p place) pki() {
	p.t.Helper()
	for _, dir := range []string{"pki", "foreign"} {
		p.run("certs", "init", dir).want(0)
		p.run("certs", "issue", dir, "coordinator", "127.0.0.1", "localhost").want(0)
		p.run("certs", "issue", dir, "node", "a").want(0)
		p.run("certs", "issue", dir, "node", "b").want(0)
		p.run("certs", "issue", dir, "person", "ann").want(0)
	}
	p.write("token", p.run("certs", "join-token").want(0).stdout.String())
	p.write("gossip.key", p.run("certs", "gossip-key").want(0).stdout.String()+p.run("certs", "gossip-key").want(0).stdout.String())
}

// tls are the flags that name a folder's files.
func tls(folder string) []string {
	return []string{"--tls-ca", folder + "/ca.pem", "--tls-cert", folder + "/cert.pem", "--tls-key", folder + "/key.pem"}
}

func with(args []string, more ...string) []string {
	return append(append([]string(nil), args...), more...)
}

// endsWith fails the test unless the process ended with a code, and the last line
// of its log has all the words.
func (c *process) endsWith(code int, words ...string) {
	c.t.Helper()
	c.want(code)
	lines := strings.Split(strings.TrimSpace(c.stderr.String()), "\n")
	for _, w := range words {
		if last := lines[len(lines)-1]; !strings.Contains(last, w) {
			c.t.Errorf("%v said last %q, which lacks %q", c.cmd.Args[1:], last, w)
		}
	}
}

// TestSecureCluster makes certificates as a person would, trains with two nodes
// behind them, and tries to get in without.
func TestSecureCluster(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.pki()
	p.writeRun(4, 4)
	coordinator := p.startAs("coordinator", with(tls("pki/coordinator"), "--join-token-file", "token", "--gossip-key-file", "gossip.key",
		"--listen", "127.0.0.1:0", "--gossip", "127.0.0.1:0", "--nodes", "2", "--run-dir", "run", "--http=")...)
	address := coordinator.address()
	at := []string{"--coordinator", address, "--join-token-file", "token"}
	node := func(name, folder string, flags ...string) []string {
		return with(with(flags, "--name", name, "--threads", "1"), tls(folder)...)
	}
	for _, refused := range []struct {
		program string
		args    []string
		words   []string
	}{
		{"node", node("a", "pki/b", at...), []string{"pki/b/cert.pem is for b, not for node a", "--name"}},
		{"node", node("a", "foreign/a", at...), []string{"its certificate is not signed by an authority that is trusted here"}},
		{"node", node("a", "pki/a", "--coordinator", address), []string{"refuses this node: no join token was shown"}},
		{"node", node("ann", "pki/ann", at...), []string{"is a client's"}},
		{"node", node("a", "pki/coordinator", at...), []string{"pki/coordinator/cert.pem is a coordinator's", "certs issue DIR node a"}},
		{"node", with(at, "--name", "a"), []string{"speaks nothing but TLS", "--tls-ca"}},
		{"node", with(at, "--name", "a", "--tls-ca", "pki/a/ca.pem"), []string{"--tls-ca pki/a/ca.pem without --tls-cert and --tls-key"}},
		{"parallax", with(with([]string{"train", "--follow"}, at...), tls("foreign/ann")...), []string{"not signed by an authority"}},
		{"parallax", with([]string{"train", "--follow"}, at...), []string{"speaks nothing but TLS"}},
		{"parallax", with([]string{"train", "--follow", "--coordinator", address}, tls("pki/ann")...), []string{"no join token was shown"}},
	} {
		p.startAs(refused.program, refused.args...).wait().endsWith(2, refused.words...)
	}
	a, b := p.startAs("node", node("a", "pki/a", at...)...), p.startAs("node", node("b", "pki/b", at...)...)
	run := p.run(with(with([]string{"train", "--config", "run.toml", "--set", "data.path=" + p.path("text.txt"), "--json"}, at...), tls("pki/ann")...)...).want(0)
	if h := run.told(); h.done.Step != 4 || len(h.losses) != 4 {
		t.Errorf("%d steps told, done at %d", len(h.losses), h.done.Step)
	}
	for _, c := range []*process{a, b, coordinator} {
		c.wait().want(0)
	}
	for _, why := range []string{"shows no join token", "does not speak TLS"} {
		if said := coordinator.stderr.String(); !strings.Contains(said, why) {
			t.Errorf("the coordinator's log does not say %q:\n%s", why, said)
		}
	}
}

// TestSimulatedTLS: a simulated cluster trains behind TLS to the same bits as
// without.
func TestSimulatedTLS(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	args := append([]string{"sim", "--nodes", "2", "--threads", "1"}, p.writeRun(4, 4)...)
	plain := p.run(with(args, "--dir", "plain")...).want(0).told()
	secure := p.run(with(args, "--dir", "secure", "--tls")...).want(0).told()
	if secure.done.Step != 4 || stateOf(t, plain.done.Checkpoint) != stateOf(t, secure.done.Checkpoint) {
		t.Errorf("behind TLS the run ended with %+v, or another state", secure.done)
	}
}

// TestGossipInTheClearIsTold: who has TLS but no key for gossip learns of it on both
// sides, and how to make one; who has both, or neither, does not.
func TestGossipInTheClearIsTold(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.pki()
	p.writeRun(1, 2)
	p.env = append(p.env, "PARALLAX_DATA_PATH="+p.path("text.txt"))
	const warning = "TLS does not encrypt gossip"
	for _, c := range []struct {
		flags, node []string
		told        int
	}{
		{tls("pki/coordinator"), tls("pki/a"), 1},
		{with(tls("pki/coordinator"), "--gossip-key-file", "gossip.key"), tls("pki/a"), 0},
		{nil, nil, 0},
	} {
		coordinator := p.startAs("coordinator", with(c.flags, "--listen", "127.0.0.1:0", "--gossip", "127.0.0.1:0", "--http=",
			"--spec", "run.toml", "--run-dir", fmt.Sprint("run", len(c.flags)))...)
		node := p.startAs("node", with(c.node, "--name", "a", "--threads", "1", "--coordinator", coordinator.address())...)
		for _, d := range []*process{node, coordinator} {
			if said := d.wait().want(0).stderr.String(); strings.Count(said, warning) != c.told || strings.Count(said, "--gossip-key-file") != c.told {
				t.Errorf("%v: want %d warnings:\n%s", d.cmd.Args, c.told, said)
			}
		}
	}
}

// TestExposureIsRefused: what would travel in the clear does not begin.
func TestExposureIsRefused(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.pki()
	everywhere := []string{"--listen", "0.0.0.0:0", "--run-dir", "run", "--http="}
	for _, c := range []struct {
		program string
		args    []string
		words   []string
	}{
		{"coordinator", everywhere, []string{"--listen 0.0.0.0:0", "--insecure"}},
		{"coordinator", with(everywhere, "--insecure", "--join-token-file", "token"), []string{"--join-token-file could be read on the way"}},
		{"coordinator", with(everywhere, "--insecure", "--gossip-key-file", "gossip.key"), []string{"gossip key", "could be read on the way"}},
		{"coordinator", with(with(everywhere, "--gossip", "0.0.0.0:0"), tls("pki/coordinator")...), []string{"--gossip-key-file"}},
		{"coordinator", with([]string{"--run-dir", "run"}, tls("pki/ann")...), []string{"pki/ann/cert.pem is a client's"}},
		{"coordinator", with([]string{"--run-dir", "run"}, tls("pki/a")...), []string{"pki/a/cert.pem is a node's, for a", "certs issue DIR coordinator 127.0.0.1"}},
		{"coordinator", []string{"--run-dir", "run", "--gossip-key-file", "run.toml"}, []string{"--gossip-key-file", "run.toml"}},
		{"coordinator", []string{"--run-dir", "run", "--join-token-file", "short"}, []string{"--join-token-file", "short"}},
		{"node", []string{"--coordinator", "10.0.0.1:7070", "--insecure", "--join-token-file", "token"}, []string{"--coordinator 10.0.0.1:7070", "could be read on the way"}},
		{"node", []string{"--coordinator", "10.0.0.1:7070"}, []string{"--coordinator 10.0.0.1:7070", "--insecure"}},
		{"parallax", []string{"train", "--follow", "--coordinator", "10.0.0.1:7070"}, []string{"--coordinator 10.0.0.1:7070", "--insecure"}},
	} {
		p.startAs(c.program, c.args...).wait().endsWith(2, c.words...)
	}
}

func TestCertsAreNotOverwritten(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.run("certs", "issue", "pki", "node", "a").refuses(2, "parallax certs init pki")
	p.run("certs", "init", "pki").want(0)
	p.run("certs", "init", "pki").refuses(2, "pki/ca.key is there already")
	p.run("certs", "issue", "pki", "node", "a", "10.0.0.1").want(0)
	p.run("certs", "issue", "pki", "person", "a").refuses(2, "pki/a is there already")
	p.run("certs", "issue", "pki", "king", "b").refuses(2, `"king"`)
	p.run("certs", "issue", "pki", "node").refuses(2, "certs issue --help")
	info, err := os.Stat(p.path("pki/a/key.pem"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: want mode 0600", info, err)
	}
}

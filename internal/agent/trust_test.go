package agent_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"parallax/internal/agent"
	"parallax/internal/certs"
	"parallax/internal/coord"
	"parallax/internal/train/traintest"
	"parallax/internal/trust"
	pb "parallax/proto/parallax/v1"
)

// fortress is a coordinator that wants certificates and a token.
type fortress struct {
	t       *testing.T
	ours    *certs.Authority
	token   string // file
	coord   *coord.Coordinator
	results chan error
	begin   chan struct{} // closed when the nodes may begin their first step
}

func newAuthority(t *testing.T) *certs.Authority {
	t.Helper()
	a, err := certs.Init(filepath.Join(t.TempDir(), "pki"), "test", 10)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newFortress(t *testing.T, nodes int) *fortress {
	t.Helper()
	f := &fortress{t: t, ours: newAuthority(t), token: filepath.Join(t.TempDir(), "token"), results: make(chan error, nodes), begin: make(chan struct{})}
	if err := os.WriteFile(f.token, []byte("a token of our cluster"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := coord.Options{
		Listen: "127.0.0.1:0", Gossip: "127.0.0.1:0", Nodes: nodes, FailureTimeout: 5 * time.Second,
		GossipKeys: [][]byte{[]byte("0123456789abcdef"), []byte("fedcba9876543210")},
		RunDir:     t.TempDir(), Run: &coord.Submission{Spec: testSpec(t, traintest.WriteWords(t, 20000))}, Log: quiet,
		Trust: f.load(f.issue(f.ours, certs.Coordinator, "coordinator", "127.0.0.1")),
	}
	var err error
	if f.coord, err = coord.Start(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.coord.Kill("the test is over")
		f.coord.Wait()
	})
	return f
}

func (f *fortress) issue(a *certs.Authority, role certs.Role, name string, hosts ...string) certs.Files {
	f.t.Helper()
	files, err := a.Issue(certs.Request{Role: role, Name: name, Hosts: hosts, Days: 1})
	if err != nil {
		f.t.Fatal(err)
	}
	return files
}

func (f *fortress) load(files certs.Files) trust.Trust {
	f.t.Helper()
	t, err := trust.Load(trust.Files{TLS: files, Token: f.token})
	if err != nil {
		f.t.Fatal(err)
	}
	return t
}

// run is a node of that name that shows what it is given.
func (f *fortress) run(name string, t trust.Trust) error {
	return agent.Run(context.Background(), agent.Options{
		Name: name, Coordinator: f.coord.Address(), Listen: "127.0.0.1:0", Gossip: "127.0.0.1:0",
		Device: "cpu", Threads: 1, CacheDir: f.t.TempDir(), Patience: time.Minute, Log: quiet, Trust: t,
		Observe: func(agent.Place) { <-f.begin },
	})
}

// impersonate links to the second rank of a view as if it were the first, with the
// certificate of another node, and wants to be refused.
func (f *fortress) impersonate(as trust.Trust, v *pb.View) {
	f.t.Helper()
	conn, err := grpc.NewClient(v.Members[1].RingAddress, as.Node(v.Members[1].NodeId).DialOptions()...)
	if err != nil {
		f.t.Fatal(err)
	}
	defer conn.Close()
	ctx := metadata.AppendToOutgoingContext(f.t.Context(), "parallax-generation", fmt.Sprint(v.Generation),
		"parallax-from", "0", "parallax-to", "1", "parallax-world", "2", "parallax-name", v.Members[0].NodeId)
	link, err := pb.NewRingClient(conn).Link(ctx)
	if err != nil {
		f.t.Fatal(err)
	}
	_, err = link.Recv()
	want := "is for mallory, not for node " + v.Members[0].NodeId
	if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), want) {
		f.t.Errorf("mallory got %v, want %q", err, want)
	}
}

// TestTrainsBehindTLS: two nodes train with certificates on all links, a token,
// and encrypted gossip, after others were turned away.
func TestTrainsBehindTLS(t *testing.T) {
	f := newFortress(t, 2)
	theirs := newAuthority(t)
	mine := f.issue(f.ours, certs.Node, "node-0")
	noToken, err := trust.Load(trust.Files{TLS: mine})
	if err != nil {
		t.Fatal(err)
	}
	for _, stranger := range []struct {
		what, name string
		trust      trust.Trust
		want       string
	}{
		{"foreign authority", "node-0", f.load(f.issue(theirs, certs.Node, "node-0")), "not signed by an authority that is trusted here"},
		{"another's name", "node-1", f.load(mine), "is for node-0, not for node node-1"},
		{"person", "ann", f.load(f.issue(f.ours, certs.Person, "ann")), "is a client's"},
		{"no token", "node-0", noToken, "no join token was shown"},
	} {
		var usage *agent.Error
		if err := f.run(stranger.name, stranger.trust); !errors.As(err, &usage) || usage.Code != agent.CodeUsage || !strings.Contains(err.Error(), stranger.want) {
			t.Errorf("%s: %v, want %q and code 2", stranger.what, err, stranger.want)
		}
	}
	for name, identity := range map[string]certs.Files{"node-0": mine, "node-1": f.issue(f.ours, certs.Node, "node-1")} {
		go func() { f.results <- f.run(name, f.load(identity)) }()
	}
	r := &rig{t: t, coord: f.coord, results: f.results}
	mallory := f.load(f.issue(f.ours, certs.Node, "mallory"))
	h := r.watch(func(e *pb.RunEvent) {
		if v := e.GetView(); v.GetGeneration() == 1 {
			defer close(f.begin)
			f.impersonate(mallory, v)
		}
	})
	r.wantNodes(2)
	if h.done.GetExitCode() != 0 || h.done.GetStep() != 8 || len(h.losses) != 8 {
		t.Errorf("the run ended with %v after %d steps", h.done, len(h.losses))
	}
}

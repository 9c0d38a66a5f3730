package coord

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"parallax/internal/certs"
	"parallax/internal/trust"
	pb "parallax/proto/parallax/v1"
)

// identities makes an authority and what a process with each certificate has.
func identities(t *testing.T, requests ...certs.Request) []trust.Trust {
	t.Helper()
	authority, err := certs.Init(filepath.Join(t.TempDir(), "pki"), "test", 1)
	if err != nil {
		t.Fatal(err)
	}
	var all []trust.Trust
	for _, r := range requests {
		r.Days = 1
		files, err := authority.Issue(r)
		if err != nil {
			t.Fatal(err)
		}
		loaded, err := trust.Load(trust.Files{TLS: files})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, loaded)
	}
	return all
}

// TestNodesAreWhoTheyCertify: a node that gives itself another's name is refused,
// and so is a person; nothing of it reaches the core.
func TestNodesAreWhoTheyCertify(t *testing.T) {
	ids := identities(t, certs.Request{Role: certs.Coordinator, Name: "coordinator", Hosts: []string{"127.0.0.1"}},
		certs.Request{Role: certs.Node, Name: "gpu07"}, certs.Request{Role: certs.Person, Name: "ann"})
	o := options(t, 1)
	o.Trust = ids[0]
	o.GossipKeys = [][]byte{make([]byte, 16), make([]byte, 32)}
	c := begin(t, o)
	for _, liar := range []struct {
		trust trust.Trust
		name  string
		want  string
	}{
		{ids[1], "gpu08", "is for gpu07, not for node gpu08"},
		{ids[2], "ann", "is a client's"},
	} {
		n := attachAs(t, c, liar.trust, hello(liar.name))
		if err := n.ended(); status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), liar.want) {
			t.Errorf("%s: %v, want %q", liar.name, err, liar.want)
		}
	}
	w := attachAs(t, c, ids[1], hello("gpu07")).hear().GetWelcome()
	if w == nil || len(w.GossipKey) != 16 || len(w.GossipOldKeys) != 1 || len(w.GossipOldKeys[0]) != 32 {
		t.Errorf("gpu07 heard %v", w)
	}
}

func attachAs(t *testing.T, c *Coordinator, as trust.Trust, hello *pb.Hello) *fakeNode {
	t.Helper()
	conn, err := grpc.NewClient(c.Address(), as.Coordinator(nil).DialOptions()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	stream, err := pb.NewCoordinatorClient(conn).Attach(ctx)
	if err != nil {
		t.Fatal(err)
	}
	n := &fakeNode{t, conn, stream}
	n.say(&pb.NodeMessage{Kind: &pb.NodeMessage_Hello{Hello: hello}})
	return n
}

// TestGossipKeysAreNotExposed: not even on a network that is trusted.
func TestGossipKeysAreNotExposed(t *testing.T) {
	o := options(t, 1)
	o.Listen, o.Insecure, o.GossipKeys = "0.0.0.0:0", true, [][]byte{make([]byte, 16)}
	if _, err := Start(o); err == nil || !strings.Contains(err.Error(), "could be read on the way") {
		t.Errorf("got %v", err)
	}
}

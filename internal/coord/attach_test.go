package coord

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "parallax/proto/parallax/v1"
)

func TestSlowNodeIsGivenUp(t *testing.T) {
	var table connTable
	k, err := table.open()
	if err != nil {
		t.Fatal(err)
	}
	for range maxQueue {
		table.send(k.id, saveOrder("x"))
	}
	select {
	case <-k.full:
		t.Fatal("given up before the queue was full")
	default:
	}
	table.send(k.id, saveOrder("one too many"))
	table.send(k.id, saveOrder("two too many"))
	<-k.full
	table.close(k)
	table.send(k.id, saveOrder("to nobody")) // must not block or fail
}

func TestConnectionsAreBounded(t *testing.T) {
	table := connTable{conns: make(map[Conn]*conn)}
	for id := range Conn(maxConns) {
		table.conns[id] = nil
	}
	if _, err := table.open(); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("got %v", err)
	}
}

func FuzzMessages(f *testing.F) {
	f.Fuzz(func(t *testing.T, id, address, text string, number float64, digest []byte) {
		h := &pb.Hello{NodeId: id, RingAddress: address, Host: text}
		if err := checkHello(h); err == nil && (len(id) > 64 || len(text) > maxText) {
			t.Errorf("%v was let through", h)
		}
		m := &pb.NodeMessage{Kind: &pb.NodeMessage_Ready{Ready: &pb.Ready{Digest: digest, TokensPerSecond: number}}}
		if err := checkMessage(m); err == nil && (len(digest) > maxDigest || !(number >= 0)) {
			t.Errorf("%v was let through", m)
		}
	})
}

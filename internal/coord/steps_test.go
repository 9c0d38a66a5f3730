package coord

import (
	"testing"

	"google.golang.org/protobuf/proto"

	pb "parallax/proto/parallax/v1"
)

// TestLinks: each link is told of by the ranks at both ends, in whatever order
// they report. A rank that has not reported leaves its own link out.
func TestLinks(t *testing.T) {
	a, b, c := new(node), new(node), new(node)
	core := &Core{ranks: []*node{a, b, c}}
	got := core.links(&tally{senders: []*node{c, a}, reports: []*pb.StepReport{
		{WireBytes: 30, SendSeconds: 3, ReceiveSeconds: 0.3}, {WireBytes: 10, SendSeconds: 1, ReceiveSeconds: 0.1}}})
	want := []*pb.Link{{Rank: 0, Bytes: 10, SendSeconds: 1}, {Rank: 2, Bytes: 30, SendSeconds: 3, ReceiveSeconds: 0.1}}
	if len(got) != len(want) {
		t.Fatalf("%v, want %v", got, want)
	}
	for i := range want {
		if !proto.Equal(got[i], want[i]) {
			t.Errorf("link %d: %v, want %v", i, got[i], want[i])
		}
	}
}

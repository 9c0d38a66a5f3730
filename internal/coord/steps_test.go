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

// TestKeptReportsOfOneRankComeFirst has a rank tell all that a node may keep while the
// coordinator is away, before the other has attached again.
func TestKeptReportsOfOneRankComeFirst(t *testing.T) {
	const kept = 1 << 16
	a, b := new(node), new(node)
	a.hello, b.hello = &pb.Hello{NodeId: "a"}, &pb.Hello{NodeId: "b"}
	core := &Core{ranks: []*node{a, b}, view: &pb.View{Generation: 1}, tallies: map[int64]*tally{}, phase: returning, job: new(Job)}
	for step := range int64(kept) {
		core.stepped(a, &pb.StepReport{Generation: 1, Step: step + 1})
	}
	if core.phase == over || len(core.out) != 0 {
		t.Fatalf("it decided %v", core.out)
	}
}

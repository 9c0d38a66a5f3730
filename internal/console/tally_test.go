package console

import (
	"strings"
	"testing"

	pb "parallax/proto/parallax/v1"
)

// inView is a view of nodes; "a/2" is the second process of that name.
func inView(generation uint64, members ...string) *pb.RunEvent {
	v := &pb.View{Generation: generation}
	for _, m := range members {
		name, process, _ := strings.Cut(m, "/")
		v.Members = append(v.Members, &pb.Member{NodeId: name, Incarnation: uint64(len(process))})
	}
	return &pb.RunEvent{Kind: &pb.RunEvent_View{View: v}}
}

func inStep(generation uint64, n int64) *pb.RunEvent {
	return &pb.RunEvent{Kind: &pb.RunEvent_Step{Step: &pb.StepSummary{Generation: generation, Step: n}}}
}

func TestTally(t *testing.T) {
	for name, test := range map[string]struct {
		events []*pb.RunEvent
		want   string
	}{
		"nothing":              {[]*pb.RunEvent{inView(1, "a", "b"), inStep(1, 1), inStep(1, 2)}, ""},
		"a death":              {[]*pb.RunEvent{inView(1, "a", "b"), inStep(1, 1), inView(2, "a"), inStep(2, 2)}, "on the way: 2 generations, b dropped out"},
		"a death and a return": {[]*pb.RunEvent{inView(1, "a", "b"), inView(2, "a"), inView(3, "a", "b/2")}, "on the way: 3 generations, b dropped out, b came back"},
		"back at once":         {[]*pb.RunEvent{inView(1, "a", "b"), inView(2, "a", "b/2")}, "on the way: 2 generations, b dropped out, b came back"},
		"two, and one of them twice": {[]*pb.RunEvent{inView(1, "a", "b", "c"), inView(2, "a"), inView(3, "a", "b/2"), inView(4, "a")},
			"on the way: 4 generations, b (2 times) and c dropped out, b came back"},
		"one more":     {[]*pb.RunEvent{inView(1, "a"), inView(2, "a", "b")}, "on the way: 2 generations, b joined"},
		"the same":     {[]*pb.RunEvent{inView(1, "a", "b"), inView(2, "a", "b")}, "on the way: 2 generations"},
		"many":         {[]*pb.RunEvent{inView(1, "a", "b", "c", "d", "e", "f"), inView(2, "a")}, "on the way: 2 generations, 5 nodes dropped out"},
		"a step again": {[]*pb.RunEvent{inView(1, "a"), inStep(1, 1), inStep(1, 2), inView(2, "a"), inStep(2, 2), inStep(2, 3)}, "on the way: 2 generations, 1 step was made again"},
		"steps again, twice": {[]*pb.RunEvent{inView(1, "a"), inStep(1, 1), inStep(1, 2), inView(2, "a"), inStep(2, 1), inView(3, "a"), inStep(3, 1), inStep(3, 2), inStep(3, 3)},
			"on the way: 3 generations, 3 steps were made again"},
		"told twice by a coordinator that crashed": {[]*pb.RunEvent{inView(1, "a"), inStep(1, 1), inStep(1, 2), inView(1, "a"), inStep(1, 2), inStep(1, 3)}, ""},
	} {
		var got tally
		for _, e := range test.events {
			got.add(e)
		}
		if got.sentence() != test.want {
			t.Errorf("%s: %q, want %q", name, got.sentence(), test.want)
		}
	}
}

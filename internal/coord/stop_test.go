package coord

import (
	"testing"
	"time"

	pb "parallax/proto/parallax/v1"
)

// TestRunTakesTheWallsTime has a coordinator that is starved for most of a run, and one
// that comes back from a crash: a person waits for the run all the while.
func TestRunTakesTheWallsTime(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	config := Config{Nodes: 1, FailureTimeout: 10 * time.Second}
	c := New(config)
	c.Step(tickAt(now))
	c.Step(Submitted{Job: Job{ID: "r", Dir: "/r", Submission: Submission{Spec: testSpec(t)}}})
	c.Step(Attached{1, &pb.Hello{NodeId: "a", Incarnation: 1, RingAddress: "a:1"}})
	var state *State
	for _, d := range c.Step(Received{1, &pb.NodeMessage{Kind: &pb.NodeMessage_Ready{Ready: &pb.Ready{DataDigest: "d", Digest: []byte("s")}}}}) {
		if k, kept := d.(Keep); kept {
			state = k.State
		}
	}
	starved := Tick{Now: now.Add(9 * time.Second), Wall: now.Add(82 * time.Second)}
	if got := secondsToEnd(c, starved); got != 82 {
		t.Errorf("a starved run ended in %v s, want 82", got)
	}
	back := Restore(config, state)
	back.Step(tickAt(now.Add(30 * time.Second)))
	back.Step(CameBack{ViewTold: true})
	starved.Now = now.Add(35 * time.Second)
	if got := secondsToEnd(back, starved); got != 82 {
		t.Errorf("a run with a crash ended in %v s, want 82", got)
	}
}

// secondsToEnd is how long a run took that is stopped at a tick; -1 if nothing tells.
func secondsToEnd(c *Core, at Tick) float64 {
	c.Step(at)
	for _, d := range c.Step(StopRequested{Reason: "enough", AtOnce: true}) {
		if p, published := d.(Publish); published && p.Event.GetDone() != nil {
			return p.Event.GetDone().Seconds
		}
	}
	return -1
}

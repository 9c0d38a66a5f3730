package coord

import (
	"math"
	"testing"
	"time"

	pb "parallax/proto/parallax/v1"
	"parallax/record"
)

// TestRatesAreMeansOverAnInterval has two ranks with 1 and 3 of 4 slots make steps of
// 400 tokens, a second each; the second rank's time and link are not told at first.
func TestRatesAreMeansOverAnInterval(t *testing.T) {
	var r rates
	at := time.Unix(1000, 0)
	step := func(n int64, generation uint64, seconds []float64, links ...*pb.Link) []record.Rate {
		at = at.Add(time.Second)
		return r.add(&pb.StepSummary{Step: n, Generation: generation, Tokens: 400, RankSeconds: seconds, Links: links}, at)
	}
	if got := step(1, 1, nil); got != nil || r.take() != nil {
		t.Errorf("before a view: %v", got)
	}
	r.enter(&pb.View{Generation: 2, Members: []*pb.Member{{Slots: []int32{0}}, {Slots: []int32{1, 2, 3}}}})
	if got := step(2, 1, nil); got != nil {
		t.Errorf("of another view: %v", got)
	}
	for n := range int64(5) {
		if got := step(3+n, 2, []float64{0.5, 0}, &pb.Link{Rank: 0, Bytes: 10 * n, SendSeconds: 2, ReceiveSeconds: 1}); got != nil {
			t.Errorf("after %d s: %v", n, got)
		}
	}
	got := step(8, 2, []float64{0.25, 0}, &pb.Link{Rank: 0, Bytes: 50, SendSeconds: 2, ReceiveSeconds: 1})
	if len(got) != 2 {
		t.Fatalf("got %v", got)
	}
	want := record.Rate{Step: 8, Generation: 2, Steps: 6, TokensPerSecond: (5*200 + 400) / 6.0, LinkBytes: 25, Send: 2, Receive: 1, Time: at}
	if got[0] != want {
		t.Errorf("rank 0: %+v, want %+v", got[0], want)
	}
	if got[1].Rank != 1 || !math.IsNaN(got[1].TokensPerSecond) || !math.IsNaN(got[1].LinkBytes) {
		t.Errorf("rank 1: %+v", got[1])
	}
	step(9, 2, []float64{0.5, 0.5})
	if got := r.take(); len(got) != 2 || got[1].Steps != 1 || got[1].TokensPerSecond != 200 || r.take() != nil {
		t.Errorf("at the end: %+v", got)
	}
}

package web

import (
	"fmt"
	"math"
	"testing"

	pb "parallax/proto/parallax/v1"
)

func told(n int64, generation uint64, seconds ...float64) (*pb.StepSummary, *pb.View) {
	v := &pb.View{Generation: 1}
	for rank := range seconds {
		v.Members = append(v.Members, &pb.Member{NodeId: fmt.Sprint("node-", rank), Slots: []int32{int32(rank)}})
	}
	return &pb.StepSummary{Step: n, Generation: generation, Tokens: 100 * int64(len(seconds)), RankSeconds: seconds,
		Links: []*pb.Link{{Rank: 0, Bytes: 8, SendSeconds: 2, ReceiveSeconds: 1}}}, v
}

// Each member's tokens a second are those of its micro-batches.
func TestRatesOfAStep(t *testing.T) {
	p, ok := ratesOf(told(3, 1, 0.5, 0))
	if a, b := p.nodes["node-0"], p.nodes["node-1"]; !ok || a.tokens != 200 || a.link() != 4 || b.rank != 1 || !math.IsNaN(b.tokens) || !math.IsNaN(b.link()) {
		t.Errorf("%+v, %t", p, ok)
	}
	if _, ok := ratesOf(told(3, 2, 0.5)); ok {
		t.Error("a step of another view has rates")
	}
}

// However long the run, the points are bounded, and their means stay what they were.
func TestRatesAreBounded(t *testing.T) {
	var r rates
	for n := range int64(5000) {
		p, _ := ratesOf(told(n+1, 1, 0.5, 0.25+0.25*float64(n%2)))
		r.add(p)
	}
	c := r.columns()
	if n := len(c.Step); n > maxRates || n < maxRates/2 || c.Step[n-1] != 5000 {
		t.Fatalf("%d points, the last %v", n, c.Step)
	}
	for i := range len(c.Step) - 1 {
		if c.Tokens[0][i] != 200 || math.Abs(c.Tokens[1][i]-300) > 100 {
			t.Fatalf("point %d: %v and %v tokens/s", i, c.Tokens[0][i], c.Tokens[1][i])
		}
	}
	many := make([]float64, 1000)
	for n := range int64(100) {
		p, _ := ratesOf(told(5001+n, 1, many...))
		r.add(p)
	}
	if n := len(r.points); n > leastRates+1 {
		t.Errorf("%d points of 1000 nodes", n)
	}
}

// A run that went back has one point for a step, and a view's points are not mixed
// with the next one's.
func TestRatesGoBackAndOn(t *testing.T) {
	var r rates
	for _, n := range []int64{1, 2, 3, 2} {
		p, _ := ratesOf(told(n, 1, 0.5))
		r.add(p)
	}
	if got := r.columns().Step; fmt.Sprint(got) != "[1 2]" {
		t.Errorf("steps %v", got)
	}
	a, _ := ratesOf(told(2, 1, 0.5))
	b, _ := ratesOf(told(3, 1, 0.25))
	b.generation = 2
	if j := a.join(b); j.steps != 1 || j.nodes["node-0"].tokens != 400 {
		t.Errorf("joined %+v", j)
	}
}

package web

import (
	"testing"

	pb "parallax/proto/parallax/v1"
)

func TestLooksAreBounded(t *testing.T) {
	var l looks
	for n := range 5 * maxLooks {
		l.add(&pb.Diagnosis{Step: int64(n), Layers: []*pb.LayerDiagnosis{{RankQ: float64(n)}, {RankQ: -float64(n)}}})
	}
	n := len(l.Step)
	if n > maxLooks || n < maxLooks/2 || l.Step[n-1] != 5*maxLooks-1 {
		t.Fatalf("%d looks, the last at step %v", n, l.Step[n-1])
	}
	for i, step := range l.Step {
		if len(l.RankQ) != n || l.RankQ[i][0] != step || l.RankQ[i][1] != -step || i > 0 && step <= l.Step[i-1] {
			t.Fatalf("look %d is of step %v: %v", i, step, l.RankQ[i])
		}
	}
	before := l.clone()
	l.add(&pb.Diagnosis{Step: 3}) // the run has gone back
	if len(l.Step) != 1 || len(l.Entropy) != 1 || len(before.Step) != n {
		t.Errorf("%v are left, and %d in the copy", l.Step, len(before.Step))
	}
}

package web

import (
	"slices"

	pb "parallax/proto/parallax/v1"
	"parallax/record"
)

// maxLooks bounds the looks into the layers that the page gets.
const maxLooks = 128

// looks are what was seen in a run's layers, over its steps: of each quantity a
// column by layer for every look. When there are too many, every second one is
// dropped.
type looks struct {
	Step       column   `json:"step"`
	Correction []column `json:"correction"`
	RankQ      []column `json:"rank_q"`
	RankR      []column `json:"rank_r"`
	RankK      []column `json:"rank_k"`
	Entropy    []column `json:"entropy"`
	FirstToken []column `json:"first_token"`
}

func (l *looks) quantities() []*[]column {
	return []*[]column{&l.Correction, &l.RankQ, &l.RankR, &l.RankK, &l.Entropy, &l.FirstToken}
}

// add appends a look, in place of those that the run went back over.
func (l *looks) add(d *pb.Diagnosis) {
	n := len(l.Step)
	for n > 0 && l.Step[n-1] >= float64(d.Step) {
		n--
	}
	l.keep(func(i int) bool { return i < n })
	l.Step = append(l.Step, float64(d.Step))
	for i, of := range []func(*pb.LayerDiagnosis) float64{
		(*pb.LayerDiagnosis).GetCorrection, (*pb.LayerDiagnosis).GetRankQ, (*pb.LayerDiagnosis).GetRankR,
		(*pb.LayerDiagnosis).GetRankK, (*pb.LayerDiagnosis).GetEntropy, (*pb.LayerDiagnosis).GetFirstToken,
	} {
		c := make(column, len(d.Layers))
		for layer, seen := range d.Layers {
			c[layer] = of(seen)
		}
		q := l.quantities()[i]
		*q = append(*q, c)
	}
	if len(l.Step) > maxLooks {
		l.keep(func(i int) bool { return i%2 == 1 || i == len(l.Step)-1 })
	}
}

// keep drops the looks whose place does not pass.
func (l *looks) keep(passes func(i int) bool) {
	var places []int
	for i := range l.Step {
		if passes(i) {
			places = append(places, i)
		}
	}
	l.Step = pick(l.Step, places)
	for _, q := range l.quantities() {
		*q = pick(*q, places)
	}
}

func pick[S ~[]E, E any](from S, places []int) S {
	picked := make(S, len(places))
	for i, p := range places {
		picked[i] = from[p]
	}
	return picked
}

// clone shares the columns by layer, which are not changed any more.
func (l *looks) clone() looks {
	c := looks{Step: slices.Clone(l.Step)}
	to := c.quantities()
	for i, q := range l.quantities() {
		*to[i] = slices.Clone(*q)
	}
	return c
}

// looksOf joins a ledger's rows, which are in order.
func looksOf(rows []record.Layer) []*pb.Diagnosis {
	var all []*pb.Diagnosis
	for _, r := range rows {
		if n := len(all); n == 0 || all[n-1].Step != r.Step {
			all = append(all, &pb.Diagnosis{Step: r.Step, Generation: r.Generation})
		}
		d := all[len(all)-1]
		d.Layers = append(d.Layers, &pb.LayerDiagnosis{Correction: r.Correction, RankQ: r.RankQ, RankR: r.RankR, RankK: r.RankK,
			Entropy: r.Entropy, FirstToken: r.FirstToken})
	}
	return all
}

package compare

import (
	"math"

	"parallax/record"
)

// LayerMeans is what was seen in one layer at the end of an arm's runs, over the
// seeds. A quantity that the layer does not have is NaN.
type LayerMeans struct {
	Correction Stat `json:"correction"` // |o - vbar| / |vbar|
	RankQ      Stat `json:"stable_rank_q"`
	RankR      Stat `json:"stable_rank_r"`
	RankK      Stat `json:"stable_rank_k"`
	Entropy    Stat `json:"attention_entropy"` // nats
	FirstToken Stat `json:"first_token_weight"`
}

// LastLook is the last look among a run's rows, which are in the order of steps.
func LastLook(rows []record.Layer) []record.Layer {
	for i := range rows {
		if rows[i].Step == rows[len(rows)-1].Step {
			return rows[i:]
		}
	}
	return nil
}

// layerMeans joins the looks of an arm's runs; those without one are left out.
func layerMeans(runs []Trained) []LayerMeans {
	var means []LayerMeans
	for _, t := range runs {
		for i, l := range t.Layers {
			if i == len(means) {
				means = append(means, LayerMeans{})
			}
			m := &means[i]
			m.Correction.add(l.Correction)
			m.RankQ.add(l.RankQ)
			m.RankR.add(l.RankR)
			m.RankK.add(l.RankK)
			m.Entropy.add(l.Entropy)
			m.FirstToken.add(l.FirstToken)
		}
	}
	return means
}

// OverLayers is a quantity's mean over an arm's layers, by seed.
func (o Outcome) OverLayers(of func(LayerMeans) Stat) Stat {
	var all Stat
	for i, l := range o.Layers {
		for seed, v := range of(l).Values {
			if i == 0 {
				all.add(0)
			}
			if seed < len(all.Values) {
				all.Values[seed] += v / float64(len(o.Layers))
			}
		}
	}
	if len(o.Layers) == 0 {
		all.add(math.NaN())
	}
	return all
}

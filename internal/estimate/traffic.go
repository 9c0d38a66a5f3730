package estimate

import (
	"parallax/model"
	"parallax/optimizer"
)

// Traffic is what a rank sends in a step, in bytes, the mean over the ranks; it
// receives as much. Frames' headers and the few numbers in which the ranks tell of
// their losses and times are left out.
type Traffic struct {
	Gradients int64 `json:"gradients"`
	Updates   int64 `json:"updates"`
}

// Total is the sum.
func (t Traffic) Total() int64 { return t.Gradients + t.Updates }

// trafficOf is 2(n-1)/n of the gradient, which is reduced and handed round, and
// (n-1)/n of Muon's updates, which are only handed round.
func trafficOf(r Run, layout model.Layout, plan optimizer.Plan) Traffic {
	n := int64(r.Nodes)
	size := int64(4)
	if r.Spec.Train.Reduction == "sum-bf16" {
		size = 2
	}
	updates := int64(plan.Bounds()[r.Nodes]) * int64(r.Precision.Compute.Size())
	return Traffic{
		Gradients: 2 * (n - 1) * size * int64(layout.Size) / n,
		Updates:   (n - 1) * updates / n,
	}
}

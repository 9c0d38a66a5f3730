package train

import (
	"fmt"

	"parallax/internal/config"
	"parallax/model"
	"parallax/optimizer"
)

// ModelConfig is the spec's model, for data of a vocabulary, which the spec's own may
// exceed.
func ModelConfig(s config.Spec, vocabulary int) (model.Config, error) {
	m := s.Model
	mixer, err := model.ParseMixer(m.Mixer)
	if err != nil {
		return model.Config{}, err
	}
	probe, err := model.ParseProbeInit(m.ProbeInit)
	if err != nil {
		return model.Config{}, err
	}
	if m.Vocabulary != 0 {
		if m.Vocabulary < vocabulary {
			return model.Config{}, fmt.Errorf("model.vocabulary = %d, but the data has %d ids; set 0 for as many as it has", m.Vocabulary, vocabulary)
		}
		vocabulary = m.Vocabulary
	}
	c := model.Config{
		Vocabulary: vocabulary, Layers: m.Layers, Width: m.Width,
		QHeads: m.QHeads, KVHeads: m.KVHeads, HeadDim: m.HeadDim, FFN: m.FFN,
		Mixer: mixer, Window: m.Window, QKNorm: m.QKNorm, ProbeInit: probe, TiedHead: m.TiedHead,
		RoPETheta: m.RoPETheta, NormEps: m.NormEps, InitStd: m.InitStd,
		Recompute: s.Train.Recompute == "layer",
	}
	return c, c.Check()
}

// OptimizerConfig is the spec's optimizer.
func OptimizerConfig(s config.Spec) optimizer.Config {
	o := s.Optimizer
	return optimizer.Config{
		Name: o.Name, LR: o.LR, Momentum: o.Momentum, Nesterov: o.Nesterov,
		Coefficients: o.Coefficients, Scale: o.Scale, WeightDecay: o.WeightDecay, PerHead: o.PerHead,
		AdamLR: o.AdamLR, Beta1: o.Beta1, Beta2: o.Beta2, AdamEps: o.AdamEps, AdamWeightDecay: o.AdamWeightDecay,
		ClipNorm: o.ClipNorm,
	}
}

func schedule(s config.Spec) optimizer.Schedule {
	return optimizer.Schedule{
		Name: s.Schedule.Name, Steps: s.Train.Steps, Warmup: s.Schedule.Warmup,
		Decay: s.Schedule.Decay, FinalScale: s.Schedule.FinalScale,
	}
}

// OptimizerParams says of each parameter of a model how it is updated.
func OptimizerParams(l model.Layout) []optimizer.Param {
	kinds := map[model.Kind]optimizer.Kind{
		model.Matrix: optimizer.Hidden, model.Embedding: optimizer.Table, model.Head: optimizer.Table, model.Norm: optimizer.Gain,
	}
	params := make([]optimizer.Param, len(l.Params))
	for i, p := range l.Params {
		params[i] = optimizer.Param{Name: p.Name, Offset: p.Offset, Rows: p.Rows, Cols: p.Cols, Kind: kinds[p.Kind], Heads: p.Heads}
	}
	return params
}

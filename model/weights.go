package model

import "parallax/kernels"

// weights are the views of one flat buffer (parameters, working copy or
// gradients) that the passes use.
type weights struct {
	embedding, head kernels.Matrix // [vocabulary, d]; the same where tied
	norm            kernels.Buffer // [d]
	layers          []layerWeights
}

type layerWeights struct {
	inputNorm, postNorm kernels.Buffer // [d]
	qNorm, rNorm, kNorm kernels.Buffer // [head size], nil where there is none
	qrkv                kernels.Matrix // [projected, d]: q, r, k, v
	o                   kernels.Matrix // [d, q columns]
	gateUp              kernels.Matrix // [2*FFN, d]: gate, up
	down                kernels.Matrix // [d, FFN]
}

func newWeights(l Layout, flat kernels.Buffer) weights {
	v := views{l, flat}
	w := weights{embedding: v.matrix("model.embed_tokens.weight"), norm: v.gain("model.norm.weight")}
	w.head = w.embedding
	if !l.Config.TiedHead {
		w.head = v.matrix("lm_head.weight")
	}
	for i := range l.Config.Layers {
		w.layers = append(w.layers, v.layer(i))
	}
	return w
}

// views makes views of a flat buffer by name.
type views struct {
	layout Layout
	flat   kernels.Buffer
}

func (v views) layer(i int) layerWeights {
	c := v.layout.Config
	gain := func(name string) kernels.Buffer { return v.gain(layerName(i, name)) }
	w := layerWeights{
		inputNorm: gain("input_layernorm"),
		postNorm:  gain("post_attention_layernorm"),
		qrkv:      v.fused(layerName(i, "self_attn.q_proj"), c.projected()),
		o:         v.matrix(layerName(i, "self_attn.o_proj")),
		gateUp:    v.fused(layerName(i, "mlp.gate_proj"), 2*c.FFN),
		down:      v.matrix(layerName(i, "mlp.down_proj")),
	}
	if c.QKNorm {
		w.qNorm, w.kNorm = gain("self_attn.q_norm"), gain("self_attn.k_norm")
		if c.Mixer.learned() {
			w.rNorm = gain("self_attn.r_norm")
		}
	}
	return w
}

func (v views) find(name string) Param {
	p, ok := v.layout.Find(name)
	if !ok {
		panic("model: the layout has no " + name)
	}
	return p
}

func (v views) matrix(name string) kernels.Matrix { return v.layout.View(v.flat, v.find(name)) }

func (v views) gain(name string) kernels.Buffer { return v.matrix(name).Buf }

// fused is the matrix of the given number of rows that begins with the named one.
func (v views) fused(first string, rows int) kernels.Matrix {
	p := v.find(first)
	return kernels.Mat(v.flat.Slice(p.Offset, p.Offset+rows*p.Cols), rows, p.Cols)
}

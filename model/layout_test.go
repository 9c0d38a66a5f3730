package model

import (
	"slices"
	"testing"
)

func TestLayoutIsAlignedAndOrdered(t *testing.T) {
	c := tiny()
	l := NewLayout(c)
	at := 0
	for _, p := range l.Params {
		if p.Offset%align != 0 || p.Offset < at || p.Offset >= at+align {
			t.Errorf("%s at %d, after %d", p.Name, p.Offset, at)
		}
		at = p.Offset + p.Len()
		if found, ok := l.Find(p.Name); !ok || found != p {
			t.Errorf("%s is found as %v", p.Name, found)
		}
	}
	if l.Size < at || l.Size >= at+align || l.Size%align != 0 {
		t.Errorf("size %d, the last parameter ends at %d", l.Size, at)
	}
	if _, ok := l.Find("no.such.weight"); ok {
		t.Error("found a parameter that does not exist")
	}
}

func TestFusedProjectionsTouch(t *testing.T) {
	for _, mixer := range []Mixer{ParallaxAttention, SoftmaxAttention} {
		c := tiny()
		c.Mixer = mixer
		l := NewLayout(c)
		touch := func(names ...string) {
			for i := 1; i < len(names); i++ {
				a, okA := l.Find(layerName(1, names[i-1]))
				b, okB := l.Find(layerName(1, names[i]))
				if !okA || !okB || a.Offset+a.Len() != b.Offset {
					t.Errorf("%s: %s does not touch %s", mixer, names[i], names[i-1])
				}
			}
		}
		if mixer == ParallaxAttention {
			touch("self_attn.q_proj", "self_attn.r_proj", "self_attn.k_proj", "self_attn.v_proj")
		} else {
			touch("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
		}
		touch("mlp.gate_proj", "mlp.up_proj")
	}
}

func TestParameterNamesAreQwen3s(t *testing.T) {
	c := tiny()
	c.Layers = 1
	var names []string
	for _, p := range NewLayout(c).Params {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	want := []string{
		"lm_head.weight",
		"model.embed_tokens.weight",
		"model.layers.0.input_layernorm.weight",
		"model.layers.0.mlp.down_proj.weight",
		"model.layers.0.mlp.gate_proj.weight",
		"model.layers.0.mlp.up_proj.weight",
		"model.layers.0.post_attention_layernorm.weight",
		"model.layers.0.self_attn.k_norm.weight",
		"model.layers.0.self_attn.k_proj.weight",
		"model.layers.0.self_attn.o_proj.weight",
		"model.layers.0.self_attn.q_norm.weight",
		"model.layers.0.self_attn.q_proj.weight",
		"model.layers.0.self_attn.r_norm.weight",
		"model.layers.0.self_attn.r_proj.weight",
		"model.layers.0.self_attn.v_proj.weight",
		"model.norm.weight",
	}
	if !slices.Equal(names, want) {
		t.Errorf("parameters %q", names)
	}
}

func TestShapesAndHeads(t *testing.T) {
	c := tiny()
	l := NewLayout(c)
	for _, want := range []struct {
		name  string
		shape []int
		kind  Kind
		heads int
		layer int
	}{
		{"model.embed_tokens.weight", []int{11, 16}, Embedding, 0, -1},
		{"lm_head.weight", []int{11, 16}, Head, 0, -1},
		{"model.norm.weight", []int{16}, Norm, 0, -1},
		{"model.layers.1.self_attn.q_proj.weight", []int{24, 16}, Matrix, 4, 1},
		{"model.layers.1.self_attn.r_proj.weight", []int{24, 16}, Matrix, 4, 1},
		{"model.layers.0.self_attn.v_proj.weight", []int{12, 16}, Matrix, 2, 0},
		{"model.layers.0.self_attn.o_proj.weight", []int{16, 24}, Matrix, 0, 0},
		{"model.layers.0.self_attn.r_norm.weight", []int{6}, Norm, 0, 0},
		{"model.layers.1.mlp.down_proj.weight", []int{16, 10}, Matrix, 0, 1},
	} {
		p, ok := l.Find(want.name)
		if !ok || !slices.Equal(p.Shape(), want.shape) || p.Kind != want.kind || p.Heads != want.heads || p.Layer != want.layer {
			t.Errorf("%s: %+v", want.name, p)
		}
	}
}

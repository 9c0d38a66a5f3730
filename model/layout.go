package model

import (
	"fmt"

	"parallax/kernels"
)

// Kind is what a parameter is, for whoever treats kinds differently.
type Kind uint8

const (
	Matrix Kind = iota // a hidden matrix, [outputs, inputs]
	Embedding
	Head // the output head, where it is not the embedding
	Norm // a gain
)

func (k Kind) String() string {
	return [...]string{"matrix", "embedding", "head", "norm"}[k]
}

// Param is one named parameter within the flat buffer: Rows*Cols elements, row
// by row, from element Offset on. A gain is one row.
type Param struct {
	Name       string // as Hugging Face's Qwen3 has it
	Offset     int
	Rows, Cols int
	Kind       Kind
	Layer      int // -1 outside the layers
	// Heads is, for a q, r, k or v projection, how many blocks of HeadDim rows
	// it has; 0 elsewhere.
	Heads, HeadDim int
}

// Len is the number of elements.
func (p Param) Len() int { return p.Rows * p.Cols }

// Shape is as checkpoints have it: a gain has one dimension.
func (p Param) Shape() []int {
	if p.Kind == Norm {
		return []int{p.Cols}
	}
	return []int{p.Rows, p.Cols}
}

// Layout is where each parameter lies in the flat buffer: the embedding, the
// layers, the last norm, the head. Offsets are multiples of 16 elements; the gaps
// before them are never written and stay zero. Within a layer come the gains,
// then q, r, k, v without gaps (one matrix of [Config.projected] rows), o, then
// gate and up without a gap, and down.
//
// The backward pass finishes gradients from the end of the buffer to its
// beginning, in whole ranges.
type Layout struct {
	Params []Param // by offset
	Size   int     // elements, gaps included
	Config Config
	layers []int // where each layer begins, and where the last one ends
	index  map[string]int
}

// NewLayout lays out the parameters of a config that has passed [Config.Check].
func NewLayout(c Config) Layout {
	l := Layout{Config: c, index: map[string]int{}}
	l.add(Param{Name: "model.embed_tokens.weight", Rows: c.Vocabulary, Cols: c.Width, Kind: Embedding, Layer: -1})
	for i := range c.Layers {
		l.layers = append(l.layers, l.next())
		l.addLayer(i)
	}
	l.layers = append(l.layers, l.next())
	l.add(Param{Name: "model.norm.weight", Rows: 1, Cols: c.Width, Kind: Norm, Layer: -1})
	if !c.TiedHead {
		l.add(Param{Name: "lm_head.weight", Rows: c.Vocabulary, Cols: c.Width, Kind: Head, Layer: -1})
	}
	l.Size = l.next()
	return l
}

func (l *Layout) addLayer(i int) {
	c := l.Config
	add := func(name string, p Param) {
		p.Name, p.Layer = layerName(i, name), i
		l.add(p)
	}
	gain := func(name string, n int) { add(name, Param{Rows: 1, Cols: n, Kind: Norm}) }
	heads := func(name string, n int) {
		add(name, Param{Rows: n * c.HeadDim, Cols: c.Width, Heads: n, HeadDim: c.HeadDim})
	}

	gain("input_layernorm", c.Width)
	gain("post_attention_layernorm", c.Width)
	if c.QKNorm {
		gain("self_attn.q_norm", c.HeadDim)
		if c.Mixer.learned() {
			gain("self_attn.r_norm", c.HeadDim)
		}
		gain("self_attn.k_norm", c.HeadDim)
	}
	heads("self_attn.q_proj", c.QHeads)
	if c.Mixer.learned() {
		heads("self_attn.r_proj", c.QHeads)
	}
	heads("self_attn.k_proj", c.KVHeads)
	heads("self_attn.v_proj", c.KVHeads)
	add("self_attn.o_proj", Param{Rows: c.Width, Cols: c.qCols()})
	add("mlp.gate_proj", Param{Rows: c.FFN, Cols: c.Width})
	add("mlp.up_proj", Param{Rows: c.FFN, Cols: c.Width})
	add("mlp.down_proj", Param{Rows: c.Width, Cols: c.FFN})
}

func layerName(i int, name string) string {
	return fmt.Sprintf("model.layers.%d.%s.weight", i, name)
}

func (l *Layout) add(p Param) {
	p.Offset = l.next()
	l.index[p.Name] = len(l.Params)
	l.Params = append(l.Params, p)
}

// next is the first aligned offset after what is laid out so far.
func (l *Layout) next() int {
	if len(l.Params) == 0 {
		return 0
	}
	last := l.Params[len(l.Params)-1]
	return (last.Offset + last.Len() + align - 1) / align * align
}

// Find returns a parameter by its name.
func (l Layout) Find(name string) (Param, bool) {
	i, ok := l.index[name]
	if !ok {
		return Param{}, false
	}
	return l.Params[i], true
}

// View is a parameter as a matrix within a flat buffer of the layout's size.
func (l Layout) View(flat kernels.Buffer, p Param) kernels.Matrix {
	return kernels.Mat(flat.Slice(p.Offset, p.Offset+p.Len()), p.Rows, p.Cols)
}

package model

import (
	"math"
	"strings"
	"testing"
)

func TestCheckNamesTheKey(t *testing.T) {
	if err := tiny().Check(); err != nil {
		t.Fatal(err)
	}
	for key, spoil := range map[string]func(*Config){
		"model.vocabulary": func(c *Config) { c.Vocabulary = 0 },
		"model.layers":     func(c *Config) { c.Layers = maxLayers + 1 },
		"model.width":      func(c *Config) { c.Width = 24 },
		"model.q_heads":    func(c *Config) { c.QHeads = 5 },
		"model.kv_heads":   func(c *Config) { c.KVHeads = -1 },
		"model.head_dim":   func(c *Config) { c.HeadDim = 7 },
		"model.ffn":        func(c *Config) { c.FFN = maxSize + 1 },
		"model.window":     func(c *Config) { c.Window = -1 },
		"model.rope_theta": func(c *Config) { c.RoPETheta = 0 },
		"model.norm_eps":   func(c *Config) { c.NormEps = math.NaN() },
		"model.init_std":   func(c *Config) { c.InitStd = math.Inf(1) },
		"model.mixer":      func(c *Config) { c.Mixer = Mixer{Uniform, true, ZeroProbe} },
	} {
		c := tiny()
		spoil(&c)
		if err := c.Check(); err == nil || !strings.HasPrefix(err.Error(), key+":") {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestParseMixer(t *testing.T) {
	for _, mixer := range []Mixer{ParallaxAttention, SoftmaxAttention} {
		if got, err := ParseMixer(mixer.String()); err != nil || got != mixer {
			t.Errorf("%s: %v, %v", mixer, got, err)
		}
	}
	for _, name := range []string{"lla", "mesanet", "affine-mesanet", "linear", "affine-linear", "average"} {
		got, err := ParseMixer(name)
		if err == nil || !strings.Contains(err.Error(), name+" is not built") || got.String() != name {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := ParseMixer("paralax"); err == nil || !strings.Contains(err.Error(), `"paralax" is unknown`) {
		t.Errorf("a misspelt mixer: %v", err)
	}
}

package optimizer

import (
	"math"
	"strings"
	"testing"
)

func TestCheckNamesTheKey(t *testing.T) {
	for name, c := range settings() {
		if err := c.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for key, spoil := range map[string]func(*Config){
		"name":              func(c *Config) { c.Name = "sgd" },
		"lr":                func(c *Config) { c.LR = -1 },
		"momentum":          func(c *Config) { c.Momentum = 1 },
		"coefficients":      func(c *Config) { c.Coefficients = "" },
		"scale":             func(c *Config) { c.Scale = "none" },
		"weight_decay":      func(c *Config) { c.WeightDecay = math.Inf(1) },
		"adam_lr":           func(c *Config) { c.AdamLR = math.NaN() },
		"beta1":             func(c *Config) { c.Beta1 = 1 },
		"beta2":             func(c *Config) { c.Beta2 = -0.1 },
		"adam_eps":          func(c *Config) { c.AdamEps = 0 },
		"adam_weight_decay": func(c *Config) { c.AdamWeightDecay = -1 },
		"clip_norm":         func(c *Config) { c.ClipNorm = -1 },
	} {
		c := muonConfig()
		spoil(&c)
		if err := c.Check(); err == nil || !strings.HasPrefix(err.Error(), "optimizer."+key+":") {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestAdamWDoesNotLookAtMuonsSettings(t *testing.T) {
	c := muonConfig()
	c.Name, c.Coefficients, c.Scale, c.Momentum = "adamw", "", "", 7
	if err := c.Check(); err != nil {
		t.Error(err)
	}
}

func TestNewRefusesParametersThatDoNotFit(t *testing.T) {
	r := newRig(t, oracle(t), muonConfig())
	for name, spoil := range map[string]func(p []Param){
		"overlap":       func(p []Param) { p[1].Offset = 8 },
		"beyond":        func(p []Param) { p[8].Rows = 9 },
		"empty":         func(p []Param) { p[3].Rows = 0 },
		"uneven heads":  func(p []Param) { p[2].Heads = 3 },
		"out of order":  func(p []Param) { p[0], p[1] = p[1], p[0] },
		"before itself": func(p []Param) { p[0].Offset = -1 },
	} {
		params := someParams()
		spoil(params)
		if _, err := New(r.be, muonConfig(), params, r.target); err == nil || !strings.Contains(err.Error(), "parameter") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNewRefusesBuffersOfDifferentLength(t *testing.T) {
	r := newRig(t, oracle(t), muonConfig())
	target := r.target
	target.Grads = target.Grads.Slice(0, someSize-1)
	if _, err := New(r.be, muonConfig(), someParams(), target); err == nil || !strings.Contains(err.Error(), "352 elements") {
		t.Error(err)
	}
}

package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestPresetsAreValid(t *testing.T) {
	for _, p := range Presets() {
		l, err := Load(Sources{Preset: p.Name})
		if err != nil {
			t.Errorf("%s: %v", p.Name, err)
			continue
		}
		if len(p.Description) < 20 || len(p.Description) > 100 || !strings.HasSuffix(p.Description, ".") {
			t.Errorf("%s: description %q", p.Name, p.Description)
		}
		if got := l.Origin("model.layers"); got != "preset "+p.Name {
			t.Errorf("%s: layers come from %q", p.Name, got)
		}
	}
}

// The published shapes, by their parameters in the decoder and the embedding.
func TestFindPreset(t *testing.T) {
	if p, err := FindPreset("small"); err != nil || p.Name != "small" || p.TOML == "" {
		t.Errorf("small is %q, %v", p.Name, err)
	}
	for _, name := range []string{"smal", "", "../defaults"} {
		if _, err := FindPreset(name); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("unknown preset %q", name)) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestPresetSizes(t *testing.T) {
	for _, c := range []struct {
		preset string
		probe  int // parameters of W_R alone
		total  int // with it, embedding counted once, norms left out
	}{
		{"0.6b", 58720256, 654704640},
		{"1.7b", 117440512, 1837891584},
		{"gpt2-124m", 7077888, 130646016},
	} {
		l, err := Load(Sources{Preset: c.preset})
		if err != nil {
			t.Fatal(err)
		}
		m := l.Spec.Model
		probe := m.Layers * m.Width * m.QHeads * m.HeadDim
		layer := 3*m.Width*m.QHeads*m.HeadDim + 2*m.Width*m.KVHeads*m.HeadDim + 3*m.Width*m.FFN
		if total := m.Layers*layer + m.Vocabulary*m.Width; probe != c.probe || total != c.total {
			t.Errorf("%s: probe %d, total %d, want %d, %d", c.preset, probe, total, c.probe, c.total)
		}
	}
}

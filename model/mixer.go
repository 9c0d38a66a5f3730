package model

import (
	"fmt"
	"slices"
	"strings"
)

// Weighting is how a mixer weighs the keys before the probe corrects it.
type Weighting uint8

const (
	Softmax Weighting = iota
	Uniform
)

// Probe is where the correction's direction r comes from.
type Probe uint8

const (
	ZeroProbe    Probe = iota // r = 0
	LearnedProbe              // r = W_R x
	SolvedProbe               // r solves a ridge regression over the keys
)

// ProbeInit is how large a learned probe r is at the start, beside q.
type ProbeInit uint8

const (
	UnitProbe   ProbeInit = iota // like q
	ScaledProbe                  // like q over sqrt(HeadDim)
	NoProbe                      // zero: the model begins as softmax attention
)

var probeInitNames = []string{UnitProbe: "unit", ScaledProbe: "scaled", NoProbe: "zero"}

// ParseProbeInit finds a way to start the probe by name.
func ParseProbeInit(name string) (ProbeInit, error) {
	i := slices.Index(probeInitNames, name)
	if i < 0 {
		return 0, fmt.Errorf("model.probe_init: %q is unknown: use scaled, unit or zero", name)
	}
	return ProbeInit(i), nil
}

// Mixer is a token mixer: one family with three settings.
//
//	                       probe zero         probe learned              probe solved
//	softmax, intercept     softmax            parallax                   lla
//	uniform, intercept     average            affine-linear              affine-mesanet
//	uniform, no intercept  -                  linear                     mesanet
type Mixer struct {
	Weighting Weighting
	Intercept bool
	Probe     Probe
}

// The mixers that are built.
var (
	SoftmaxAttention  = Mixer{Softmax, true, ZeroProbe}
	ParallaxAttention = Mixer{Softmax, true, LearnedProbe}
)

var mixerNames = []struct {
	name  string
	mixer Mixer
}{
	{"parallax", ParallaxAttention},
	{"softmax", SoftmaxAttention},
	{"lla", Mixer{Softmax, true, SolvedProbe}},
	{"mesanet", Mixer{Uniform, false, SolvedProbe}},
	{"affine-mesanet", Mixer{Uniform, true, SolvedProbe}},
	{"linear", Mixer{Uniform, false, LearnedProbe}},
	{"affine-linear", Mixer{Uniform, true, LearnedProbe}},
	{"average", Mixer{Uniform, true, ZeroProbe}},
}

// ParseMixer finds a mixer by name. It refuses the members of the family that
// are known but not built.
func ParseMixer(name string) (Mixer, error) {
	known := make([]string, 0, len(mixerNames))
	for _, m := range mixerNames {
		if m.name == name {
			return m.mixer, m.mixer.check()
		}
		known = append(known, m.name)
	}
	return Mixer{}, fmt.Errorf("model.mixer: %q is unknown: use parallax or softmax (the family is %s)",
		name, strings.Join(known, ", "))
}

func (m Mixer) String() string {
	for _, named := range mixerNames {
		if named.mixer == m {
			return named.name
		}
	}
	return fmt.Sprintf("mixer(weighting %d, intercept %t, probe %d)", m.Weighting, m.Intercept, m.Probe)
}

// learned says whether the layer has a W_R.
func (m Mixer) learned() bool { return m.Probe == LearnedProbe }

func (m Mixer) check() error {
	if m == ParallaxAttention || m == SoftmaxAttention {
		return nil
	}
	return fmt.Errorf("model.mixer: %s is not built: use parallax or softmax", m)
}

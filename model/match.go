package model

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Quantity is what a control has in common with the model it is held against.
type Quantity string

const (
	SameShape      Quantity = "shape"
	SameParameters Quantity = "parameters"
	SameFLOPs      Quantity = "FLOPs per token"
)

// Tolerance is how far from equal a matched quantity may be.
const Tolerance = 0.005

// Control is a model to hold a Parallax model against: what it costs and how it
// was derived.
type Control struct {
	Name          string
	Config        Config
	Matched       Quantity
	Parameters    int64
	FLOPsPerToken float64 // model FLOPs, at the sequence length it was matched at
	// ParametersOff and FLOPsOff are how far it is from the Parallax model, as a
	// fraction: 0.01 is one per cent more.
	ParametersOff, FLOPsOff float64
	Derivation              string // in words
}

// Off is the distance from equal in the quantity that is matched; 0 where none is.
func (c Control) Off() float64 {
	switch c.Matched {
	case SameParameters:
		return c.ParametersOff
	case SameFLOPs:
		return c.FLOPsOff
	}
	return 0
}

// arms are the controls by name, the model itself first.
var arms = []struct {
	name    string
	matched Quantity
	derive  func(base Config, seqLen int) (Config, string)
}{
	{"parallax", SameShape, itself},
	{"softmax", SameShape, withoutProbe},
	{"softmax+params", SameParameters, softmaxOfEqualParameters},
	{"softmax+flops", SameFLOPs, softmaxOfEqualFLOPs},
	{"parallax-half", SameParameters, halfHeads},
}

// Controls names what [Match] can derive, the Parallax model itself first.
func Controls() []string {
	var names []string
	for _, a := range arms {
		names = append(names, a.name)
	}
	return names
}

// Match derives a control from a Parallax config, for sequences of seqLen tokens:
//
//	parallax        base itself
//	softmax         base without W_R: the same shape, fewer parameters and FLOPs
//	softmax+params  base's parameters: W_R's go into more query heads or a wider FFN
//	softmax+flops   base's FLOPs per token: a wider FFN
//	parallax-half   base's parameters: heads of half the size, and a wider FFN
//
// The FFN is widened to the coarsest multiple of 64, 32, ... 1 that comes within
// half of [Tolerance], or else to the nearest integer: round widths keep the matrix
// products fast, so that a control does not lose time for an odd shape. A quantity
// that cannot be matched within Tolerance is an error.
func Match(base Config, name string, seqLen int) (Control, error) {
	if err := base.Check(); err != nil {
		return Control{}, err
	}
	if base.Mixer != ParallaxAttention {
		return Control{}, fmt.Errorf("model.mixer: controls are derived from a parallax model, and this one is %s: set it to parallax", base.Mixer)
	}
	if seqLen < 1 {
		return Control{}, fmt.Errorf("model: controls for sequences of %d tokens: a sequence has at least one", seqLen)
	}
	for _, a := range arms {
		if a.name == name {
			config, derivation := a.derive(base, seqLen)
			return measureControl(base, Control{Name: name, Matched: a.matched, Config: config, Derivation: derivation}, seqLen)
		}
	}
	return Control{}, fmt.Errorf("there is no control %q: use one of %s", name, strings.Join(Controls(), ", "))
}

// measureControl completes a control, and refuses one that is not what it claims.
func measureControl(base Config, c Control, seqLen int) (Control, error) {
	if err := c.Config.Check(); err != nil {
		return Control{}, fmt.Errorf("%s cannot be derived from this model: %w", c.Name, err)
	}
	c.Parameters = c.Config.Parameters()
	c.FLOPsPerToken = c.Config.FLOPsPerToken(seqLen)
	c.ParametersOff = float64(c.Parameters)/float64(base.Parameters()) - 1
	c.FLOPsOff = c.FLOPsPerToken/base.FLOPsPerToken(seqLen) - 1
	if math.Abs(c.Off()) > Tolerance {
		return Control{}, fmt.Errorf("%s cannot be derived from this model: its %s would be %+.2f %% off, and %.1f %% is allowed",
			c.Name, c.Matched, 100*c.Off(), 100*Tolerance)
	}
	return c, nil
}

func itself(base Config, _ int) (Config, string) { return base, "the model as configured" }

func withoutProbe(base Config, _ int) (Config, string) {
	base.Mixer = SoftmaxAttention
	return base, "the same shape without W_R: fewer parameters and fewer FLOPs"
}

// softmaxOfEqualParameters prefers query heads, which are what W_R is made of, and
// takes the FFN where whole groups of them do not come to W_R's size.
func softmaxOfEqualParameters(base Config, _ int) (Config, string) {
	c, _ := withoutProbe(base, 0)
	target := parameters(base)
	if heads, ok := moreHeads(c, target); ok {
		return heads, fmt.Sprintf("W_R's parameters spent on query heads: %d instead of %d", heads.QHeads, base.QHeads)
	}
	c = widen(c, parameters, target)
	return c, fmt.Sprintf("W_R's parameters spent on the FFN: %d wide instead of %d (whole groups of query heads do not come within %.1f %%)",
		c.FFN, base.FFN, 100*Tolerance)
}

func softmaxOfEqualFLOPs(base Config, seqLen int) (Config, string) {
	c, _ := withoutProbe(base, seqLen)
	flops := func(c Config) float64 { return c.FLOPsPerToken(seqLen) }
	c = widen(c, flops, flops(base))
	return c, fmt.Sprintf("the FLOPs of W_R and of the correction, at %d tokens, spent on the FFN: %d wide instead of %d", seqLen, c.FFN, base.FFN)
}

// halfHeads makes the correction free in attention: four products of half the
// length cost what softmax attention's two do.
func halfHeads(base Config, _ int) (Config, string) {
	c := base
	c.HeadDim /= 2
	c = widen(c, parameters, parameters(base))
	return c, fmt.Sprintf("heads of %d instead of %d for q, k, r and v, so that attention's forward pass costs what softmax's does; the parameters saved spent on the FFN: %d wide instead of %d",
		c.HeadDim, base.HeadDim, c.FFN, base.FFN)
}

func parameters(c Config) float64 { return float64(c.Parameters()) }

// moreHeads adds query heads, in whole groups, until target parameters are spent;
// ok says whether that is as near as [Tolerance].
func moreHeads(c Config, target float64) (_ Config, ok bool) {
	more := c
	more.QHeads += c.KVHeads
	perGroup := parameters(more) - parameters(c)
	c.QHeads += c.KVHeads * int(math.Round((target-parameters(c))/perGroup))
	return c, math.Abs(parameters(c)/target-1) <= Tolerance
}

// granularities are tried in turn for the width of an FFN, and nearEnough is when
// one will do.
var granularities = []int{64, 32, 16, 8, 4, 2, 1}

const nearEnough = Tolerance / 2

// widen finds the FFN's width at which cost, linear in it, comes to target.
func widen(c Config, cost func(Config) float64, target float64) Config {
	wider := c
	wider.FFN++
	width := float64(c.FFN) + (target-cost(c))/(cost(wider)-cost(c))
	at := func(granularity int) Config {
		c.FFN = granularity * max(1, int(math.Round(width/float64(granularity))))
		return c
	}
	near := slices.IndexFunc(granularities, func(g int) bool { return math.Abs(cost(at(g))/target-1) <= nearEnough })
	if near < 0 {
		return at(1)
	}
	return at(granularities[near])
}

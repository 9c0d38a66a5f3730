package optimizer

import (
	"fmt"
	"math"
)

// Schedule scales both learning rates over a run.
type Schedule struct {
	Name   string // cosine | wsd (warm-up, stable, decay) | constant
	Steps  int    // of the run
	Warmup int    // steps before the full rate is reached
	// Decay is, for wsd, the share of the run at its end in which the rate falls,
	// in a straight line.
	Decay      float64
	FinalScale float64 // of the full rate, at the end of cosine and wsd
}

// Check says what is wrong, naming the key of the run spec.
func (s Schedule) Check() error {
	switch {
	case s.Name != "cosine" && s.Name != "wsd" && s.Name != "constant":
		return fmt.Errorf("schedule.name: %q is unknown: use cosine, wsd or constant", s.Name)
	case s.Steps < 1:
		return fmt.Errorf("train.steps: %d is no run", s.Steps)
	case s.Warmup < 0:
		return fmt.Errorf("schedule.warmup: %d is negative: use 0 for none", s.Warmup)
	case !(s.Decay >= 0 && s.Decay <= 1):
		return fmt.Errorf("schedule.decay: %v is not in [0, 1]", s.Decay)
	case !(s.FinalScale >= 0 && s.FinalScale <= 1):
		return fmt.Errorf("schedule.final_scale: %v is not in [0, 1]", s.FinalScale)
	}
	return nil
}

// Scale is the factor for the step after applied others:
//
//	applied < Warmup   (applied+1) / (Warmup+1)
//	cosine             from 1 at applied = Warmup to FinalScale at Steps
//	wsd                1 until the last Decay*Steps steps, then straight to FinalScale at Steps
//	constant           1
//
// The factor is never 0 where FinalScale is 0: the step that would have it comes
// after the last.
func (s Schedule) Scale(applied int) float64 {
	if applied < s.Warmup {
		return float64(applied+1) / float64(s.Warmup+1)
	}
	switch s.Name {
	case "cosine":
		x := fraction(float64(applied), float64(s.Warmup), float64(s.Steps))
		return s.FinalScale + (1-s.FinalScale)*0.5*(1+math.Cos(math.Pi*x))
	case "wsd":
		begin := max(float64(s.Warmup), float64(s.Steps)*(1-s.Decay))
		x := fraction(float64(applied), begin, float64(s.Steps))
		return 1 + (s.FinalScale-1)*x
	}
	return 1
}

// fraction is how far x is from lo to hi, within 0 and 1.
func fraction(x, lo, hi float64) float64 {
	switch {
	case x <= lo:
		return 0
	case x >= hi:
		return 1
	}
	return (x - lo) / (hi - lo)
}

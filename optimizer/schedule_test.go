package optimizer

import (
	"math"
	"strings"
	"testing"
)

func TestScheduleAtItsCorners(t *testing.T) {
	cosine := Schedule{Name: "cosine", Steps: 110, Warmup: 10, FinalScale: 0.1}
	wsd := Schedule{Name: "wsd", Steps: 100, Warmup: 4, Decay: 0.2, FinalScale: 0}
	for _, want := range []struct {
		schedule Schedule
		applied  int
		scale    float64
	}{
		{cosine, 0, 1.0 / 11},
		{cosine, 9, 10.0 / 11},
		{cosine, 10, 1},
		{cosine, 60, 0.55},
		{cosine, 109, 0.1 + 0.45*(1+math.Cos(math.Pi*0.99))},
		{cosine, 110, 0.1},
		{cosine, 500, 0.1},
		{wsd, 0, 0.2},
		{wsd, 4, 1},
		{wsd, 80, 1},
		{wsd, 90, 0.5},
		{wsd, 99, 0.05},
		{wsd, 100, 0},
		{Schedule{Name: "constant", Steps: 9, Warmup: 1}, 0, 0.5},
		{Schedule{Name: "constant", Steps: 9, Warmup: 1}, 1, 1},
		{Schedule{Name: "constant", Steps: 9}, 1000, 1},
		{Schedule{Name: "cosine", Steps: 1}, 0, 1},
		{Schedule{Name: "cosine", Steps: 3, Warmup: 3, FinalScale: 0.5}, 3, 1},
		{Schedule{Name: "wsd", Steps: 10, Warmup: 8, Decay: 1}, 9, 0.5},
		{Schedule{Name: "wsd", Steps: 10, Decay: 0}, 9, 1},
	} {
		if err := want.schedule.Check(); err != nil {
			t.Errorf("%+v: %v", want.schedule, err)
		}
		if got := want.schedule.Scale(want.applied); math.Abs(got-want.scale) > 1e-12 {
			t.Errorf("%+v after %d steps: %v, want %v", want.schedule, want.applied, got, want.scale)
		}
	}
}

func TestScheduleRisesThenFallsAndStaysPositive(t *testing.T) {
	for _, name := range []string{"cosine", "wsd"} {
		s := Schedule{Name: name, Steps: 50, Warmup: 7, Decay: 0.5}
		for i := range s.Steps {
			now, next := s.Scale(i), s.Scale(i+1)
			if now <= 0 || now > 1 {
				t.Errorf("%s after %d steps: %v", name, i, now)
			}
			if rising := i < s.Warmup; rising && next <= now || !rising && next > now {
				t.Errorf("%s goes from %v after %d steps to %v", name, now, i, next)
			}
		}
	}
}

func TestScheduleCheckNamesTheKey(t *testing.T) {
	for key, s := range map[string]Schedule{
		"schedule.name":        {Name: "linear", Steps: 1},
		"train.steps":          {Name: "cosine"},
		"schedule.warmup":      {Name: "cosine", Steps: 5, Warmup: -1},
		"schedule.decay":       {Name: "wsd", Steps: 5, Decay: 1.1},
		"schedule.final_scale": {Name: "wsd", Steps: 5, FinalScale: math.NaN()},
	} {
		if err := s.Check(); err == nil || !strings.HasPrefix(err.Error(), key+":") {
			t.Errorf("%s: %v", key, err)
		}
	}
}

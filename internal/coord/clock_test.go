package coord

import (
	"testing"
	"time"
)

func TestClockLeavesOutWhatWasMissed(t *testing.T) {
	wall := time.Unix(1000, 0)
	c := newClock(wall, time.Second)
	var told time.Duration
	for _, passed := range []time.Duration{time.Second, 4 * time.Second, time.Hour, time.Second} {
		wall = wall.Add(passed)
		tick := c.tick(wall)
		told = tick.Now.Sub(time.Unix(1000, 0))
		if !tick.Wall.Equal(wall) {
			t.Errorf("it is %v by the wall, want %v", tick.Wall, wall)
		}
	}
	if want := (1 + 4 + 4 + 1) * time.Second; told != want {
		t.Errorf("%v have passed, want %v", told, want)
	}
}

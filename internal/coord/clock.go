package coord

import "time"

// clock is the time by which nodes are judged: the wall's, less what the coordinator
// missed of it. A host that does not let it run for a while, or a disk that makes it
// wait, must not have it take for silence what it has not listened to.
type clock struct {
	now, read time.Time
	most      time.Duration // that passes between two readings
}

// listening is how often the loop wakes at least, to look at deadlines.
func (c *Coordinator) listening() time.Duration {
	return min(max(c.o.FailureTimeout/20, 10*time.Millisecond), 500*time.Millisecond)
}

func newClock(wall time.Time, wakes time.Duration) clock {
	return clock{now: wall, read: wall, most: 4 * wakes}
}

// tick reads the wall's clock.
func (c *clock) tick(wall time.Time) Tick {
	c.now = c.now.Add(min(wall.Sub(c.read), c.most))
	c.read = wall
	return Tick{Now: c.now, Wall: wall}
}

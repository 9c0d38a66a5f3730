package collective

import "time"

// sign is what can be seen of a neighbour.
type sign struct {
	heard   uint64 // frames
	excused bool   // its silence is our doing, or it has said goodbye
}

// watch decides when a neighbour has been silent for too long. It reads no clock.
type watch struct {
	timeout time.Duration
	ticked  time.Time
	heard   [2]uint64
	since   [2]time.Time
}

func newWatch(timeout time.Duration, now time.Time) *watch {
	return &watch{timeout: timeout, ticked: now, since: [2]time.Time{now, now}}
}

// tick returns the index of the neighbour that has been silent longest, and for
// how long, or -1 when none has for the timeout. When the ticks themselves come
// late, this process was stopped or starved, and its neighbours' frames may wait
// unread: both get a fresh deadline.
func (w *watch) tick(now time.Time, signs [2]sign) (int, time.Duration) {
	late := now.Sub(w.ticked) > w.timeout/2
	w.ticked = now
	worst, longest := -1, time.Duration(0)
	for i, s := range signs {
		if late || s.excused || s.heard != w.heard[i] {
			w.heard[i], w.since[i] = s.heard, now
		}
		if silent := now.Sub(w.since[i]); silent >= w.timeout && silent > longest {
			worst, longest = i, silent
		}
	}
	return worst, longest
}

// quiet reports whether a neighbour has been silent for long enough not to be waited
// for, when others say that the ring has broken: for two heartbeats.
func (w *watch) quiet(now time.Time, i int, s sign) bool {
	return !s.excused && s.heard == w.heard[i] && now.Sub(w.since[i]) >= w.timeout/2
}

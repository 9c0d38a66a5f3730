package collective

import (
	"testing"
	"time"
)

// moment is one tick: when, and which signs were seen.
type moment struct {
	at     time.Duration
	signs  [2]sign
	silent int
	since  time.Duration
}

func TestWatch(t *testing.T) {
	const ms = time.Millisecond
	quiet, excused := sign{}, sign{excused: true}
	heard := func(n uint64) sign { return sign{heard: n} }
	for name, moments := range map[string][]moment{
		"both speak":      {{400 * ms, [2]sign{heard(1), heard(1)}, -1, 0}, {800 * ms, [2]sign{heard(2), heard(2)}, -1, 0}, {1200 * ms, [2]sign{heard(3), heard(3)}, -1, 0}},
		"next is silent":  {{500 * ms, [2]sign{heard(1), quiet}, -1, 0}, {1000 * ms, [2]sign{heard(2), quiet}, 1, 1000 * ms}},
		"prev for longer": {{500 * ms, [2]sign{quiet, heard(1)}, -1, 0}, {1000 * ms, [2]sign{quiet, heard(1)}, 0, 1000 * ms}, {1500 * ms, [2]sign{quiet, heard(1)}, 0, 1500 * ms}},
		"prev is excused": {{500 * ms, [2]sign{excused, heard(1)}, -1, 0}, {1000 * ms, [2]sign{excused, heard(2)}, -1, 0}, {1500 * ms, [2]sign{quiet, heard(3)}, -1, 0}},
		"we were stopped": {{400 * ms, [2]sign{heard(1), heard(1)}, -1, 0}, {9000 * ms, [2]sign{heard(1), heard(1)}, -1, 0}, {9400 * ms, [2]sign{heard(1), heard(1)}, -1, 0}, {9800 * ms, [2]sign{heard(1), heard(2)}, -1, 0}, {10000 * ms, [2]sign{heard(1), heard(3)}, 0, 1000 * ms}},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Unix(1000, 0)
			w := newWatch(time.Second, start)
			for _, m := range moments {
				silent, since := w.tick(start.Add(m.at), m.signs)
				if silent != m.silent || since != m.since {
					t.Errorf("at %v: %d silent for %v, want %d for %v", m.at, silent, since, m.silent, m.since)
				}
			}
		})
	}
}

// Who was not heard for two heartbeats is not waited for; who was, is, also if that
// was only noticed now.
func TestQuiet(t *testing.T) {
	start := time.Unix(1000, 0)
	w := newWatch(time.Second, start)
	w.tick(start.Add(200*time.Millisecond), [2]sign{{heard: 1}, {heard: 1}})
	for _, c := range []struct {
		at    time.Duration
		sign  sign
		quiet bool
	}{
		{600 * time.Millisecond, sign{heard: 1}, false},
		{700 * time.Millisecond, sign{heard: 1}, true},
		{700 * time.Millisecond, sign{heard: 2}, false},
		{700 * time.Millisecond, sign{heard: 1, excused: true}, false},
	} {
		if got := w.quiet(start.Add(c.at), 1, c.sign); got != c.quiet {
			t.Errorf("at %v with %+v: quiet is %t, want %t", c.at, c.sign, got, c.quiet)
		}
	}
}

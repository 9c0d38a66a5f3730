package gossip

import (
	"fmt"
	"time"

	"github.com/hashicorp/memberlist"
)

// Tuning is how fast gossip sees a death, and what that costs.
type Tuning struct {
	ProbeInterval  time.Duration // one random member is probed in each
	ProbeTimeout   time.Duration // an answer later than this is asked for through others
	GossipInterval time.Duration // news is passed on this often
	SyncInterval   time.Duration // two members compare all they know this often
}

// MinFailureTimeout is the shortest failure timeout that can be kept: below it a
// busy host's scheduling delays look like deaths.
const MinFailureTimeout = 200 * time.Millisecond

// The rest of the tuning does not scale with the timeout. memberlist declares a
// suspect dead after suspicion * max(1, log10 n) probe intervals when others
// confirm it, at most maxSuspicion times as much.
const (
	suspicion    = 3
	maxSuspicion = 2
	maxAwareness = 4 // how far a member that finds itself slow stretches its probes
)

// TuningFor derives the timings from the failure timeout. At 2 s they are those
// measured with 30 members on one host: a killed member is known to all after
// 1.5 s, where memberlist's defaults for a LAN took 7.3 s.
func TuningFor(failureTimeout time.Duration) (Tuning, error) {
	if failureTimeout < MinFailureTimeout {
		return Tuning{}, fmt.Errorf("a failure timeout of %s is too short to tell a dead node from a busy one; use %s or more",
			failureTimeout, MinFailureTimeout)
	}
	return Tuning{
		ProbeInterval:  failureTimeout / 8,
		ProbeTimeout:   failureTimeout / 20,
		GossipInterval: min(failureTimeout/40, 50*time.Millisecond),
		SyncInterval:   5 * failureTimeout,
	}, nil
}

// spread is how long it takes to send a piece of news as often as memberlist
// does: 4 ceil(log10(n+1)) times, to up to 3 members in each gossip interval, so 4
// intervals for the smallest cluster and fewer than 6 for 9,999 members. A busy
// host may take longer than very short intervals.
func (t Tuning) spread() time.Duration { return max(6*t.GossipInterval, 300*time.Millisecond) }

// apply writes the tuning into memberlist's settings.
func (t Tuning) apply(c *memberlist.Config) {
	c.ProbeInterval = t.ProbeInterval
	c.ProbeTimeout = t.ProbeTimeout
	c.GossipInterval = t.GossipInterval
	c.PushPullInterval = t.SyncInterval
	c.GossipToTheDeadTime = t.SyncInterval
	c.TCPTimeout = max(4*t.ProbeInterval, time.Second)
	c.SuspicionMult = suspicion
	c.SuspicionMaxTimeoutMult = maxSuspicion
	c.AwarenessMaxMultiplier = maxAwareness
}

package coord

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"parallax/internal/gossip"
)

// Config is what a core knows from the start.
type Config struct {
	Nodes           int           // the run starts when so many are ready
	MinNodes        int           // and with so many when JoinTimeout has passed; with fewer it does not go on; 0: Nodes
	JoinTimeout     time.Duration // how long nodes are waited for, 0: for ever
	QuorumTimeout   time.Duration // how long a run with fewer than MinNodes waits for more; 0: see quorumTimeout
	FailureTimeout  time.Duration // how long a silent node is waited for
	StragglerFactor float64       // how many times slower than the others a straggler computes, more than 1; 0: nobody looks
	GossipAddress   string        // handed to nodes, with the keys
	GossipKeys      [][]byte      // the first is the one to use, the others are understood too
}

// Bounds of the settings: more is a typing error, or one in a unit.
const (
	MaxNodes          = 4096 // of a cluster
	maxFailureTimeout = 24 * time.Hour
	maxWait           = 100 * maxFailureTimeout
)

// check says which setting is out of range or contradicts another, by its flag.
func (c Config) check() error {
	switch {
	case c.Nodes < 1 || c.Nodes > MaxNodes:
		return fmt.Errorf("--nodes is %d; it must be 1 to %d", c.Nodes, MaxNodes)
	case c.MinNodes < 0 || c.MinNodes > c.Nodes:
		return fmt.Errorf("--min-nodes is %d; it must be 1 to --nodes, which is %d", c.MinNodes, c.Nodes)
	case c.FailureTimeout < gossip.MinFailureTimeout || c.FailureTimeout > maxFailureTimeout:
		return fmt.Errorf("--failure-timeout is %s; it must be %s to %s: a shorter one cannot tell a dead node from a busy one",
			c.FailureTimeout, gossip.MinFailureTimeout, maxFailureTimeout)
	case c.JoinTimeout < 0 || c.JoinTimeout > maxWait:
		return fmt.Errorf("--join-timeout is %s; it must be 0, to wait for ever, or up to %s", c.JoinTimeout, maxWait)
	case c.QuorumTimeout != 0 && (c.QuorumTimeout < c.FailureTimeout || c.QuorumTimeout > maxWait):
		return fmt.Errorf("--quorum-timeout is %s; it must be 0, or from --failure-timeout, which is %s, to %s: a node that comes back needs as long to be seen",
			c.QuorumTimeout, c.FailureTimeout, maxWait)
	case c.StragglerFactor != 0 && !(c.StragglerFactor > 1 && c.StragglerFactor <= math.MaxFloat64):
		return fmt.Errorf("--straggler-factor is %v; it must be more than 1, or 0 to leave stragglers alone", c.StragglerFactor)
	}
	return nil
}

// gossipKeys parts the key to use from those that are understood too.
func (c Config) gossipKeys() (key []byte, old [][]byte) {
	if len(c.GossipKeys) == 0 {
		return nil, nil
	}
	return c.GossipKeys[0], c.GossipKeys[1:]
}

// returnTimeout is how long the members of a view may take to attach again to a
// coordinator that has come back. They try once in a failure timeout at least.
func (c Config) returnTimeout() time.Duration { return 5 * c.FailureTimeout }

// absenceTimeout is how long a node that cannot train waits for a coordinator that
// is away.
func (c Config) absenceTimeout() time.Duration {
	return max(c.quorumTimeout(), 30*c.FailureTimeout)
}

// tellTimeout is how long a survivor that shows that it lives may take to say what
// state it holds: a large one takes a while to digest.
func (c Config) tellTimeout() time.Duration { return 30 * c.FailureTimeout }

// saveTimeout is how long a survivor may take to write the last checkpoint without
// showing that it lives.
func (c Config) saveTimeout() time.Duration { return 30 * c.FailureTimeout }

// elastic says whether the run takes nodes in after its start.
func (c Config) elastic() bool { return c.MinNodes < c.Nodes || c.QuorumTimeout > 0 }

// quorumTimeout is how long a run that has lost too many nodes waits for others:
// one that needs all its nodes does not wait unless it is told to.
func (c Config) quorumTimeout() time.Duration {
	if c.QuorumTimeout == 0 && c.elastic() {
		return 30 * c.FailureTimeout
	}
	return c.QuorumTimeout
}

// patience is how long a run that cannot go on waits: for more nodes, or for one that is
// only silent.
func (c Config) patience() time.Duration { return cmp.Or(c.quorumTimeout(), c.absenceTimeout()) }

// graceTimeout is how long a node that others hold to be dead may take to
// contradict.
func (c Config) graceTimeout() time.Duration { return c.FailureTimeout / 10 }

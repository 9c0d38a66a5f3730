package coord

import (
	"fmt"
	"slices"
	"time"
)

// A member of which nothing speaks but its silence may be starved on a busy host, and not
// dead. Where the others can go on without it they do so at once; where they cannot,
// nothing is won by taking it for dead, and it is waited for.

// bears reports whether the run has patience with a member that has been silent for the
// failure timeout.
func (c *Core) bears(n *node) bool {
	if c.now.Sub(n.heard) < c.config.FailureTimeout || c.canSpare(n) {
		return false
	}
	if n.missed.IsZero() {
		n.missed = c.now
		c.reminder.begin(c.now)
		c.notice(n, true, "%s has been silent for %s, and the run cannot go on without it: waiting %s for it to answer",
			n.name(), c.silence(n), c.config.patience())
	}
	return c.now.Before(n.missed.Add(c.config.patience()))
}

// canSpare reports whether those who are not silent are enough to go on without n, or, in a
// run that is to stop, to save the state, which one of them has.
func (c *Core) canSpare(n *node) bool {
	others := slices.DeleteFunc(c.readyNodes(), func(m *node) bool {
		return m == n || !m.alive() || m.broken || m.drains != nil || c.silent(m)
	})
	enough := len(others) >= c.config.MinNodes || c.stop != nil
	return enough && slices.ContainsFunc(others, c.member)
}

// answers notes that a member that was missed shows that it lives.
func (c *Core) answers(n *node) {
	if n.missed.IsZero() || !c.training() {
		return
	}
	n.missed = time.Time{}
	c.notice(n, false, "%s answers again, after %s", n.name(), c.silence(n))
}

// silence is for how long nothing has been heard of n.
func (c *Core) silence(n *node) time.Duration { return c.now.Sub(n.heard).Round(time.Second / 10) }

// missed lists the members that are waited for though they are silent.
func (c *Core) missed() []*node {
	return slices.DeleteFunc(slices.Clone(c.ranks), func(n *node) bool { return n.missed.IsZero() || !n.alive() || n.held })
}

// unheard lists the members of a halted view that are silent and have not told what they
// hold.
func (c *Core) unheard() []*node {
	return slices.DeleteFunc(slices.Clone(c.ranks), func(n *node) bool {
		return !n.alive() || n.broken || n.held || n.drains != nil || !c.silent(n)
	})
}

// remindOfMissed tells now and then who is missed while a view goes on.
func (c *Core) remindOfMissed() {
	for _, n := range c.missed() {
		if c.reminder.due(c.now) {
			c.notice(n, false, "still waiting for %s, silent for %s; %s", n.name(), c.silence(n), c.timeLeft(n.missed.Add(c.config.patience())))
		}
	}
}

// makeRoom gives up a silent member whose place another process needs, or whose name it
// has.
func (c *Core) makeRoom(name string) {
	if c.phase != lacking {
		return
	}
	full := c.config.elastic() && c.occupied() >= c.config.Nodes
	for _, n := range c.missed() {
		if n.name() == name || full {
			c.dismiss(n, ExitQuorumLost, fmt.Sprintf("it has been silent for %s, and another process has taken its place", c.silence(n)))
			c.endIfHopeless()
			return
		}
	}
}

package coord

// cutOff reports whether no member is left in the halted view, but some may live and
// attach again: the coordinator, not they, may have lost its links. Who hangs on an
// open stream, or was told to end, does not count.
func (c *Core) cutOff() bool {
	away := false
	for _, n := range c.ranks {
		if n.alive() && !n.broken {
			return false
		}
		away = away || c.mayReturn(n)
	}
	return away && c.phase != returning && c.forsaken == ""
}

func (c *Core) mayReturn(n *node) bool {
	return n.gone && n.left == nil && !n.broken && !n.dismissed && c.nodes[n.conn] != n
}

// awaitReturn gives the members as long to attach again as after a crash: they train on
// meanwhile, or hold what they held.
func (c *Core) awaitReturn() {
	c.forsaken = c.sentence()
	c.awaitMembers()
	for _, n := range c.ranks {
		if c.mayReturn(n) {
			n.gone, n.absent, n.held = false, true, false
		}
	}
	c.notice(nil, true, "nobody is left in generation %d after step %d; waiting %s for one of them to attach again",
		c.view.Generation, c.applied(), c.config.returnTimeout())
}

package coord

import (
	"fmt"
	"time"

	pb "parallax/proto/parallax/v1"
)

// takeIn has a node that is ready be in the next view, at once if the others wait for
// it; else see settleJoiners.
func (c *Core) takeIn() {
	if c.phase == lacking && c.enough() {
		c.nextView()
	}
}

// part has the ranks leave their ring together after the step under way.
func (c *Core) part(n *node, why string) {
	c.phase, c.deadline = parting, time.Time{}
	c.notice(n, false, "%s; the nodes form a new ring after the step under way", why)
	c.sendMembers(&pb.HaltOrder{Generation: c.view.Generation, Reason: why, AtBoundary: true})
}

// parted takes a rank's word that it has left the ring together with the others, or a
// joiner's that it holds what they hold.
func (c *Core) parted(n *node, h *pb.Held) {
	if !c.member(n) && !c.waits(n) || h.Generation != c.view.Generation || !c.training() && c.phase != halting {
		return
	}
	n.held, n.applied, n.digest = true, h.AppliedStep, h.Digest
	c.fruitless = 0
	switch {
	case c.phase == halting:
		c.goOnWhenHeld()
	case c.phase == parting:
		c.goOnWhenParted()
	case c.phase == running && c.member(n): // told to before a crash
		c.leftTogether()
	}
}

// leftTogether takes the ranks' word that they were told to leave their ring.
func (c *Core) leftTogether() {
	c.phase, c.deadline = parting, time.Time{}
	c.goOnWhenParted()
}

// goOnWhenParted goes on when all ranks have left their ring.
func (c *Core) goOnWhenParted() {
	for _, n := range c.ranks {
		if n.alive() && !n.held {
			return
		}
	}
	c.goOnWhenJoined()
}

// drain lets a node leave after the step under way if the others are enough to go
// on, and ends the run for all if they are not.
func (c *Core) drain(n *node, l *pb.Leaving) {
	if c.phase != waiting && !c.member(n) {
		c.sendOff(n, ExitDone, l.Reason)
		return
	}
	if n.drains != nil {
		return
	}
	n.drains = l
	c.letGo(n)
}

// letGo has the ranks part from one that asks to leave, or stop if too few would stay.
func (c *Core) letGo(n *node) {
	why := fmt.Sprintf("%s asks to leave: %s", n.name(), n.drains.Reason)
	switch {
	case c.phase == waiting || c.staying() < c.config.MinNodes:
		c.requestStop(StopRequested{Reason: why, Code: ExitRequeue})
	case c.phase == running && c.stop == nil:
		c.part(n, why)
	}
}

// staying counts the members who do not ask to leave, also those of whom it is not known
// yet whether they are back, and those who wait to be taken in.
func (c *Core) staying() int {
	staying := 0
	for _, n := range c.ranks {
		if n.absent && n.alive() {
			staying++
		}
	}
	for _, n := range c.readyNodes() {
		if n.alive() && !n.broken && n.drains == nil {
			staying++
		}
	}
	return staying
}

// sendOff ends the part of a node that was not in a view yet.
func (c *Core) sendOff(n *node, code int, reason string) {
	c.notice(n, true, "%s does not join: %s", n.name(), reason)
	c.dismiss(n, code, reason)
}

package coord

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	pb "parallax/proto/parallax/v1"
)

// member reports whether n is in the view, or was in the one that has just ended.
func (c *Core) member(n *node) bool { return slices.Contains(c.ranks, n) }

// sendMembers sends to the members who have not said goodbye: also to one that is
// taken for dead, should it come round.
func (c *Core) sendMembers(h *pb.HaltOrder) {
	for _, n := range c.attached() {
		if c.member(n) && n.left == nil {
			c.send(n, haltOrder(h))
		}
	}
}

// holds reports whether n, which was in the view, can hand its state on.
func (c *Core) holds(n *node) bool {
	told := n.held && len(n.digest) > 0
	return c.member(n) && n.alive() && !n.broken && told && (c.caughtUp(n) || c.worthKeeping(n))
}

// caughtUp reports whether n has the state that the view began with. One that was to
// fetch it may still have that which it came with.
func (c *Core) caughtUp(n *node) bool { return !n.behind || bytes.Equal(n.digest, c.view.Digest) }

// worthKeeping reports whether an older state than the view began with is worth going on
// from, where nobody has that any more: one that is newer than what the run could begin
// anew from, or a step older at most.
func (c *Core) worthKeeping(n *node) bool { return n.applied+1 >= c.restartStep() }

// ahead reports whether a's state is the one to go on from, and not b's.
func (c *Core) ahead(a, b *node) bool {
	if up := c.caughtUp(a); up != c.caughtUp(b) {
		return up
	}
	return a.applied > b.applied
}

// fit lists the nodes that can be in the next view, by name: the members who have
// told what they hold, and the joiners who hold it too. If those are too few, all who
// wait to be taken in come with them, whatever they hold.
func (c *Core) fit() []*node {
	fit := c.fitting(c.boards)
	if len(fit) < c.config.MinNodes {
		fit = c.fitting(c.waits)
	}
	return fit
}

func (c *Core) fitting(joins func(*node) bool) []*node {
	return slices.DeleteFunc(c.readyNodes(), func(n *node) bool {
		fits := n.alive() && !n.broken && n.drains == nil && n.held
		return !(c.member(n) && fits || joins(n))
	})
}

// goOn makes the next view if the nodes that are left are enough. Otherwise the
// state is brought into safety first.
func (c *Core) goOn() {
	if c.stop == nil && c.enough() {
		c.nextView()
		return
	}
	c.save()
}

// enough reports whether a next view can be made: of MinNodes nodes, one of which
// at least has a state that it can hand on.
func (c *Core) enough() bool {
	fit := c.fit()
	return len(fit) >= c.config.MinNodes && slices.ContainsFunc(fit, c.holds)
}

// saveNoMore goes on, waits or ends the run, once everything is saved that can be.
func (c *Core) saveNoMore() {
	switch {
	case c.stop != nil && (c.cause == nil || c.enough()):
		c.finish(c.stop.Code, fmt.Sprintf("stopped at step %d: %s; %s", c.applied(), c.stop.Reason, c.lastCheckpoint()))
	case c.stop == nil && c.enough():
		c.nextView()
	case c.stop == nil && slices.ContainsFunc(c.fit(), c.holds) && c.hopes(c.unheard()):
		c.lack()
	case c.cutOff():
		c.awaitReturn()
	default:
		c.finish(c.exitCode(), c.sentence()+"; "+c.lastCheckpoint())
	}
}

// hopes reports whether a run that is to lack nodes can get as many as it needs: from
// outside, or once those answer who are silent.
func (c *Core) hopes(silent []*node) bool {
	return c.config.quorumTimeout() > 0 || len(silent) > 0 && len(c.fit())+len(silent) >= c.config.MinNodes
}

// lack waits for more nodes, and for those who are only silent.
func (c *Core) lack() {
	fit, silent := c.fit(), c.unheard()
	c.dismissOthers(append(slices.Clone(fit), silent...))
	c.phase, c.deadline = lacking, c.now.Add(c.config.patience())
	c.reminder.begin(c.now)
	for _, n := range silent {
		n.missed = c.now
	}
	whom := "others"
	switch answer := list(names(silent)) + " to answer"; {
	case len(silent) > 0 && c.config.quorumTimeout() > 0:
		whom = answer + ", or for others"
	case len(silent) > 0:
		whom = answer
	}
	c.notice(nil, true, "%s; only %s can go on, and --min-nodes asks for %d: waiting %s for %s",
		c.sentence(), list(names(fit)), c.config.MinNodes, c.config.patience(), whom)
}

// lackEnds ends a run that has waited long enough.
func (c *Core) lackEnds() {
	in := "no more nodes came"
	if missed := c.missed(); len(missed) > 0 {
		in = list(names(missed)) + " did not answer"
	}
	c.finish(c.exitCode(), fmt.Sprintf("%s; %s within %s; %s", c.sentence(), in, c.config.patience(), c.lastCheckpoint()))
}

// endIfHopeless ends the run when the last node is lost that holds its state, unless it
// may come back; or when nobody else can come, and too few are left.
func (c *Core) endIfHopeless() {
	held := slices.ContainsFunc(c.ranks, c.holds)
	switch {
	case held && c.hopes(c.missed()):
	case !held && c.cutOff():
		c.awaitReturn()
	default:
		c.finish(c.exitCode(), c.sentence()+"; "+c.lastCheckpoint())
	}
}

// nextView goes on with whoever is fit, at the highest step that one of the
// members holds.
func (c *Core) nextView() {
	before, fit := c.ranks, c.fit()
	source := c.bestHolder(fit)
	c.flushTallies(source.applied)
	c.goBack(source)
	why := c.changes(fit)
	c.dismissOthers(fit)
	c.ranks = order(fit)
	view := c.makeView(slices.Index(c.ranks, source))
	view.Reason = fmt.Sprintf("generation %d: %s; %s from step %d", view.Generation, why, goingOn(len(fit), len(before)), view.ResumeStep)
	if fetching := fetchers(view); len(fetching) > 0 {
		view.Reason += fmt.Sprintf(", %s with the state of %s", list(fetching), source.name())
	}
	c.enter(view)
}

// goBack says which steps are made again, since nobody is left who holds the state that
// the view began with.
func (c *Core) goBack(source *node) {
	switch first, last := source.applied+1, c.view.ResumeStep; {
	case first == last:
		c.notice(nil, true, "%s: nobody is left who holds its state, and %s has kept the one before", madeAgain(first, last), source.name())
	case first < last:
		c.notice(nil, true, "%s: nobody is left who holds a newer state than %s", madeAgain(first, last), source.name())
	}
}

// madeAgain is "step 5 is made again", or "steps 5 to 7 are made again".
func madeAgain(first, last int64) string {
	if first == last {
		return fmt.Sprintf("step %d is made again", first)
	}
	return fmt.Sprintf("steps %d to %d are made again", first, last)
}

// bestHolder is the first of those who hold the most steps.
func (c *Core) bestHolder(fit []*node) *node {
	var best *node
	for _, n := range fit {
		if c.holds(n) && (best == nil || c.ahead(n, best)) {
			best = n
		}
	}
	return best
}

// changes says why the next view differs from the last.
func (c *Core) changes(fit []*node) string {
	var all []string
	if c.cause != nil {
		all = append(all, c.cause.withAll(fit).in(""))
	}
	for _, n := range c.ranks {
		if n.drains != nil && n.alive() {
			all = append(all, fmt.Sprintf("%s leaves (%s)", n.name(), n.drains.Reason))
		}
	}
	for _, n := range fit {
		if !c.member(n) {
			all = append(all, n.name()+" joins")
		}
	}
	if c.dealsAnew {
		all = append(all, "the slots are dealt anew by measured speed")
	}
	if len(all) == 0 {
		return "nobody comes or goes after all"
	}
	return strings.Join(all, "; ")
}

// goingOn is "7 of 8 nodes go on", or "8 nodes go on" where none is missing.
func goingOn(now, before int) string {
	switch {
	case now < before:
		return fmt.Sprintf("%d of %d nodes go on", now, before)
	case now == 1:
		return "1 node goes on"
	default:
		return fmt.Sprintf("%d nodes go on", now)
	}
}

func fetchers(v *pb.View) []string {
	var all []string
	for _, m := range v.Members {
		if m.Fetch {
			all = append(all, m.NodeId)
		}
	}
	return all
}

// dismissOthers sends off the members who are still attached but not among those
// who go on.
func (c *Core) dismissOthers(fit []*node) {
	for _, n := range c.attached() {
		if !c.member(n) || slices.Contains(fit, n) {
			continue
		}
		switch {
		case n.left != nil:
			c.dismiss(n, ExitDone, "it has left the run")
		case n.drains != nil:
			c.dismiss(n, ExitDone, "it has left the run, as its host asked for")
		case n.broken:
			c.dismiss(n, c.exitCode(), "it cannot go on: "+c.sentence())
		default:
			c.dismiss(n, ExitQuorumLost, fmt.Sprintf("it did not say within %s what it holds, and the run goes on without it; start it again to have it join", c.config.FailureTimeout))
		}
	}
}

// dismiss ends a node's part in the run; its place is free.
func (c *Core) dismiss(n *node, code int, reason string) {
	n.gone, n.dismissed = true, true
	c.send(n, stopOrder(code, true, n.name()+": "+reason))
	delete(c.nodes, n.conn)
}

package coord

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	pb "parallax/proto/parallax/v1"
)

// cause is why a view ended: the first thing that went wrong, and what else was
// seen of it.
type cause struct {
	node     *node  // at fault, as far as is known
	what     string // "died"
	code     int    // exit code it asks for
	hearsay  bool   // only another node, or a broken ring, has told of it
	evidence []string
	also     []string // what went wrong later with other nodes
}

// lost is what happened to a node that others do not hear.
const lost = "was lost"

// in says what happened, and where the run stood.
func (c *cause) in(where string) string {
	s := c.node.name() + " " + c.what + where
	if len(c.evidence) > 0 {
		s += " (" + strings.Join(c.evidence, "; ") + ")"
	}
	return strings.Join(append([]string{s}, c.also...), "; ")
}

// withAll is the cause as it is told when these nodes go on: one that was taken for lost
// may be among them.
func (c *cause) withAll(fit []*node) *cause {
	if c.what != lost || !slices.Contains(fit, c.node) {
		return c
	}
	back := *c
	back.what = "was missed, and is back"
	return &back
}

func (c *Core) sentence() string {
	switch {
	case c.cause != nil:
	case c.stop != nil:
		return "the run is to stop: " + c.stop.Reason
	default:
		return fmt.Sprintf("too few nodes are left after step %d", c.applied())
	}
	return c.cause.in(fmt.Sprintf(" after step %d", c.applied()))
}

// exitCode is what the end of the view asks for, should it end the run.
func (c *Core) exitCode() int {
	if c.cause == nil {
		return ExitQuorumLost
	}
	return c.cause.code
}

// applied is the highest step that any rank has applied.
func (c *Core) applied() int64 {
	var highest int64
	for _, n := range c.ranks {
		highest = max(highest, n.applied)
	}
	return highest
}

// failed takes a node's word that its step is broken off, or, in a halted view,
// what it holds.
func (c *Core) failed(n *node, f *pb.Failure) {
	switch {
	case c.phase == waiting:
		c.failedEarly(n, f)
		return
	case !c.member(n):
		if f.Fatal {
			c.sendOff(n, exitCode(f), f.Error)
		}
		return
	case f.Generation != c.view.Generation && !f.Fatal:
		return
	}
	n.report(f)
	switch c.phase {
	case running, parting, returning:
		c.halt(c.blame(n, f))
	case halting:
		if f.Fatal {
			c.confess(n, f)
		}
		c.goOnWhenHeld()
	case saving:
		if f.Fatal && n == c.saver {
			c.save()
		}
	case lacking:
		c.takeIn()
		if c.phase == lacking {
			c.endIfHopeless()
		}
	}
}

// confess takes the word of a node that cannot go on while others are halted. No
// broken ring makes a node say so, but its leaving breaks the ring for its
// neighbours, whose reports may come first: against those its own word counts.
func (c *Core) confess(n *node, f *pb.Failure) {
	if !c.cause.hearsay {
		if n != c.cause.node {
			c.cause.also = append(c.cause.also, fmt.Sprintf("%s cannot go on either: %s", n.name(), f.Error))
		}
		return
	}
	also := c.cause.also
	c.cause = c.blame(n, f)
	c.cause.also = also
	c.notice(n, true, "%s", c.sentence())
}

// report notes what a node says that it holds.
func (n *node) report(f *pb.Failure) {
	n.held, n.digest = true, f.Digest
	n.broken = n.broken || f.Fatal
	if !f.Fatal || f.AppliedStep > n.applied {
		n.applied = f.AppliedStep
	}
}

// failedEarly turns a node away from a run that has not started, and waits for another
// one. It ends the run once as many nodes as it needs have failed, and nobody is left of
// whom more can be hoped: what is wrong is wrong everywhere then.
func (c *Core) failedEarly(n *node, f *pb.Failure) {
	if !f.Fatal {
		return
	}
	c.unfit[n.name()] = f.Error
	if len(c.unfit) >= c.config.Nodes && len(c.nodes) == 1 {
		c.finish(exitCode(f), c.unfitness())
		return
	}
	c.notice(n, true, "%s cannot take part: %s; mend that and start it again, or start another node in its place: the run waits for it",
		n.name(), f.Error)
	c.out = append(c.out, Send{n.conn, refusal(exitCode(f), "it cannot take part: "+f.Error)})
	delete(c.nodes, n.conn)
}

// unfitness says which nodes could not take part, and why the first of them.
func (c *Core) unfitness() string {
	all := slices.SortedFunc(maps.Keys(c.unfit), compareNatural)
	why := fmt.Sprintf("%s cannot take part: %s", all[0], c.unfit[all[0]])
	if len(all) > 1 {
		why += "; nor can " + list(all[1:])
	}
	return why
}

func exitCode(f *pb.Failure) int {
	if f.ExitCode > 0 && f.ExitCode < 256 {
		return int(f.ExitCode)
	}
	return ExitQuorumLost
}

// blame turns a node's failure report into a cause.
func (c *Core) blame(n *node, f *pb.Failure) *cause {
	if f.Fatal {
		return &cause{node: n, what: "cannot go on", code: exitCode(f), evidence: []string{f.Error}}
	}
	for _, suspect := range c.ranks {
		if suspect.name() == f.Suspect && suspect != n {
			return &cause{node: suspect, what: lost, code: ExitQuorumLost, hearsay: true,
				evidence: []string{fmt.Sprintf("%s reports: %s", n.name(), f.Error)}}
		}
	}
	return &cause{node: n, what: "broke off", code: ExitQuorumLost, hearsay: true, evidence: []string{f.Error}}
}

// lose notes the end of a node's connection.
func (c *Core) lose(n *node, reason string) {
	delete(c.nodes, n.conn)
	if c.mayBeStarved(n) {
		n.absent = true
		return
	}
	n.gone = true
	if n.left != nil || c.phase == over {
		return
	}
	if c.phase == waiting {
		c.notice(n, true, "%s left before the run started (%s); %d of %d nodes are here", n.name(), reason, len(c.nodes), c.config.Nodes)
		return
	}
	if !c.member(n) {
		c.notice(n, true, "%s left before it was taken in (%s)", n.name(), reason)
		return
	}
	c.died(n, "its stream to the coordinator broke: "+reason)
}

// mayBeStarved reports whether it may be for n's silence alone that its stream has ended,
// and it is waited for: one that is not too starved to see that attaches again.
func (c *Core) mayBeStarved(n *node) bool {
	saves := c.phase == saving && n == c.saver
	return c.view != nil && c.member(n) && n.alive() && !n.broken && !n.held && c.phase != over && !saves && c.bears(n)
}

// died takes it for sure that a member of the view is dead.
func (c *Core) died(n *node, evidence string) {
	training := c.training()
	switch {
	case training && c.completed():
		c.notice(n, true, "%s died when the run was already complete (%s)", n.name(), evidence)
		c.finishWhenAllLeft()
	case training || c.cause == nil:
		c.halt(&cause{node: n, what: "died", code: ExitQuorumLost, evidence: []string{evidence}})
	case n == c.cause.node && !n.broken:
		c.cause.what, c.cause.hearsay = "died", false
		c.cause.evidence = append(c.cause.evidence, evidence)
	case !n.broken:
		c.cause.also = append(c.cause.also, fmt.Sprintf("%s died too (%s)", n.name(), evidence))
	}
	switch {
	case c.phase == halting:
		c.goOnWhenHeld()
	case c.phase == saving && n == c.saver:
		c.save()
	case c.phase == lacking:
		c.endIfHopeless()
	}
}

// suspect notes gossip's opinion of a node. Whoever holds the gossip key can
// forge it, so it counts only once the node's stream is silent too.
func (c *Core) suspect(name string, incarnation uint64, suspected bool) {
	for _, n := range c.nodes {
		if n.name() == name && n.hello.Incarnation == incarnation {
			n.suspected = suspected
		}
	}
	if c.phase == running || c.phase == parting {
		c.checkSuspects()
	}
}

// checkSuspects ends the view if a suspected node has been silent for the failure
// timeout, and for longer where it is needed.
func (c *Core) checkSuspects() {
	for _, n := range c.ranks {
		suspected := n.suspected && c.now.Sub(n.heard) >= c.config.FailureTimeout
		if !n.alive() || !suspected && !n.absent || c.bears(n) {
			continue
		}
		silence := c.config.FailureTimeout
		if !n.missed.IsZero() {
			silence = c.silence(n)
		}
		n.gone = true
		c.died(n, fmt.Sprintf("it answers neither gossip nor, for %s, the coordinator", silence))
		return
	}
}

// halt ends the view and asks the survivors what they hold, unless all is done.
func (c *Core) halt(why *cause) {
	if c.completed() {
		c.finishWell()
		return
	}
	if deadline := c.now.Add(c.config.FailureTimeout); c.phase != returning || c.deadline.Before(deadline) {
		c.deadline = deadline
	}
	c.phase, c.cause, c.halted, c.forsaken = halting, why, c.now, ""
	c.notice(why.node, true, "%s", c.sentence())
	c.sendMembers(&pb.HaltOrder{Generation: c.view.Generation, Reason: c.sentence()})
	c.countFruitless(why.node)
	c.goOnWhenHeld()
}

// maxFruitless is how many views in a row may end without a step before the node
// that is blamed for the end is left out, though it lives: its links may be bad.
const maxFruitless = 3

func (c *Core) countFruitless(blamed *node) {
	c.fruitless++
	if c.applied() > c.view.ResumeStep {
		c.fruitless = 0
	}
	if c.fruitless >= maxFruitless {
		blamed.broken = true
	}
}

// training says that the ranks are, or should be, in their ring.
func (c *Core) training() bool {
	return c.phase == running || c.phase == parting || c.phase == returning
}

// silent says that nothing was heard of n for a while, though its heartbeats come
// several times in a failure timeout.
func (c *Core) silent(n *node) bool {
	return n.absent || c.now.Sub(n.heard) >= c.config.FailureTimeout/2
}

// haltEnds goes on without those that have not told what they hold, unless they
// show that they live.
func (c *Core) haltEnds() {
	for _, n := range c.ranks {
		waits := n.alive() && !n.broken && !n.held
		if waits && !c.silent(n) && c.now.Before(c.halted.Add(c.config.tellTimeout())) {
			return
		}
		if waits && n.absent && n.missed.IsZero() {
			n.gone = true
			if n != c.cause.node {
				c.cause.also = append(c.cause.also, n.name()+" did not come back")
			}
		}
	}
	c.goOn()
}

// goOnWhenHeld goes on when every survivor has told what it holds. If the one that
// is blamed is silent, it is waited for no longer than graceTimeout behind the
// others.
func (c *Core) goOnWhenHeld() {
	blamed := false
	for _, n := range c.ranks {
		if !n.alive() || n.broken || n.held {
			continue
		}
		if n != c.cause.node || !c.silent(n) {
			return
		}
		blamed = true
	}
	if !blamed {
		c.goOn()
		return
	}
	grace := c.now.Add(c.config.graceTimeout())
	if soonest := c.away.Add(c.config.FailureTimeout); c.cause.node.absent && grace.Before(soonest) {
		grace = soonest // by then it has tried to attach again, if it lives
	}
	if grace.Before(c.deadline) {
		c.deadline = grace
	}
}

// save orders the survivor that holds the most steps to write a checkpoint, and
// comes to an end where none can or need.
func (c *Core) save() {
	saver := c.bestSurvivor()
	if saver == nil || !c.worthSaving(saver) {
		c.saveNoMore()
		return
	}
	c.phase, c.saver = saving, saver
	c.deadline = c.now.Add(c.config.saveTimeout())
	c.send(saver, saveOrder(c.sentence()))
}

// bestSurvivor is the lowest rank among those that hold the most steps. One that
// has not answered the halt order may hang, and comes last.
func (c *Core) bestSurvivor() *node {
	var best *node
	for _, n := range c.ranks {
		if !n.alive() || n.absent || n.broken || !c.caughtUp(n) && !c.holds(n) {
			continue
		}
		if best == nil || n.held && !best.held || n.held == best.held && c.ahead(n, best) {
			best = n
		}
	}
	return best
}

// worthSaving reports whether n holds steps that no checkpoint has.
func (c *Core) worthSaving(n *node) bool { return n.applied > c.restartStep() }

// restartStep is the step that the run would go on from if all its nodes were lost.
func (c *Core) restartStep() int64 { return max(c.began, c.checkpoint.GetStep()) }

// saved takes the news of a checkpoint.
func (c *Core) saved(n *node, r *pb.CheckpointReport) {
	if c.phase == over || c.phase == waiting {
		return
	}
	c.publish(&pb.RunEvent{Kind: &pb.RunEvent_Checkpoint{Checkpoint: r}})
	if r.Error == "" && (c.checkpoint == nil || r.Step >= c.checkpoint.Step) {
		c.checkpoint = r
	}
	if c.phase == saving && n == c.saver && (r.Error != "" || r.Step >= n.applied) {
		if r.Error != "" {
			c.couldNotSave(n, r)
		}
		c.save()
	}
}

// couldNotSave has the reason of the end say which survivor could not save either.
func (c *Core) couldNotSave(n *node, r *pb.CheckpointReport) {
	n.broken = true
	if c.cause != nil {
		c.cause.also = append(c.cause.also, fmt.Sprintf("%s could not save its state: %s", n.name(), r.Error))
	}
}

// lastCheckpoint says where to go on from.
func (c *Core) lastCheckpoint() string {
	switch {
	case c.checkpoint != nil:
		return fmt.Sprintf("checkpoint of step %d is in %s; run again with --resume", c.checkpoint.Step, c.checkpoint.Path)
	case c.began > 0:
		return fmt.Sprintf("no checkpoint was written after step %d, where it began; run again with --resume", c.began)
	default:
		return "no checkpoint was written; run again from the start"
	}
}

package coord

import (
	"fmt"

	pb "parallax/proto/parallax/v1"
)

// Restore returns a core that goes on where another had stored s. The nodes train,
// or wait, and attach again; [CameBack] is to be its first event behind a Tick.
func Restore(config Config, s *State) *Core {
	c := New(config)
	c.job, c.restarts, c.stop = &s.Job, s.Restarts+1, s.Stop
	if s.View == nil {
		return c
	}
	job := s.Job
	job.Resume = true // who joins now may hold a checkpoint
	c.job, c.view, c.facts, c.began, c.started = &job, s.View, s.Facts, s.Began, s.Started
	c.evaluation, c.checkpoint, c.last = s.Recorded.Evaluation, s.Recorded.Checkpoint, s.Recorded.Last
	c.lookedAt = s.Recorded.LookedAt
	recorded := s.View.ResumeStep
	if s.Recorded.Generation == s.View.Generation {
		recorded = max(recorded, s.Recorded.Step)
	}
	for _, m := range s.View.Members {
		c.ranks = append(c.ranks, &node{
			hello: &pb.Hello{NodeId: m.NodeId, Incarnation: m.Incarnation, RingAddress: m.RingAddress, Host: m.Host, Device: m.Device},
			ready: s.Facts, absent: true, applied: recorded, behind: m.Fetch && recorded == s.View.ResumeStep,
		})
	}
	return c
}

// state is what Restore needs.
func (c *Core) state() *State {
	return &State{Config: c.config, Job: *c.job, Restarts: c.restarts, View: c.view, Facts: c.facts,
		Began: c.began, Started: c.started, Stop: c.stop}
}

// keep has the state written before anything that follows is carried out.
func (c *Core) keep() { c.out = append(c.out, Keep{c.state()}) }

// comeBack tells that the coordinator is back, and whom it waits for. That the run has
// started was on disk with its first view; the newest one may not have come to be told.
func (c *Core) comeBack(viewTold bool) {
	c.keep()
	if c.view == nil {
		c.setJoinDeadline(c.config.JoinTimeout)
		c.notice(nil, true, "back after a crash: run %s, which had not started, waiting for %s", c.job.ID, someNodes(c.config.Nodes))
		return
	}
	c.awaitMembers()
	if !viewTold {
		c.publish(&pb.RunEvent{Kind: &pb.RunEvent_View{View: c.view}})
	}
	c.notice(nil, true, "back after a crash: run %s, generation %d of %d nodes, recorded up to step %d, waiting for them to re-attach",
		c.job.ID, c.view.Generation, len(c.ranks), c.applied())
}

// awaitMembers gives the members that are absent time to attach again.
func (c *Core) awaitMembers() {
	c.phase, c.away, c.deadline = returning, c.now, c.now.Add(c.config.returnTimeout())
}

// reattach takes a node back whose stream had broken: as the member that it was if
// nobody has taken it for dead and gone on since, else as one that joins.
func (c *Core) reattach(conn Conn, hello *pb.Hello) {
	r := hello.Reattach
	n := c.former(hello)
	switch {
	case c.job == nil || r.RunId != c.job.ID:
		c.refuse(conn, ExitUsage, fmt.Errorf("%s trains run %s, and this coordinator has another", hello.NodeId, r.RunId))
		return
	case c.phase == over || n == nil || !c.takesBack(n):
		c.supersede(hello)
		c.join(conn, hello)
		return
	}
	if n.gone && c.cause != nil {
		c.cause.also = append(c.cause.also, n.name()+" has come back")
	}
	delete(c.nodes, n.conn)
	c.answers(n)
	n.conn, n.hello, n.ready, n.heard = conn, hello, r.Ready, c.now
	n.absent, n.gone, n.dropped, n.serving = false, false, r.DroppedStep, nil
	c.nodes[conn] = n
	c.welcomeBack(n)
	c.dropTo(n)
	c.settleReturn()
}

// former finds the member of the view that a node says it is.
func (c *Core) former(hello *pb.Hello) *node {
	for _, n := range c.ranks {
		if n.name() == hello.NodeId && n.hello.Incarnation == hello.Incarnation {
			return n
		}
	}
	return nil
}

// takesBack says whether n's place in the view is still its own: one that was
// taken for dead has it until there is another view.
func (c *Core) takesBack(n *node) bool {
	lost := n.gone && (c.phase == running || c.phase == parting)
	return !n.broken && !n.dismissed && (!lost || n.left != nil)
}

// supersede forgets the older connection of a node that has come with a new one.
func (c *Core) supersede(hello *pb.Hello) {
	for conn, n := range c.nodes {
		if n.name() == hello.NodeId && n.hello.Incarnation == hello.Incarnation {
			delete(c.nodes, conn)
		}
	}
}

// welcomeBack tells a member what it has missed.
func (c *Core) welcomeBack(n *node) {
	m := c.welcomeTo()
	m.Member, m.ReceivedStep = true, n.applied
	c.send(n, welcome(m))
	if c.phase != halting && n.hello.Reattach.Generation < c.view.Generation {
		c.send(n, viewOrder(c.view))
	}
	switch {
	case c.phase == halting || c.phase == saving || c.phase == lacking:
		c.send(n, haltOrder(&pb.HaltOrder{Generation: c.view.Generation, Reason: c.sentence()}))
	case c.phase == parting:
		c.send(n, haltOrder(&pb.HaltOrder{Generation: c.view.Generation, Reason: "the ring is to change", AtBoundary: true}))
	case c.stop != nil:
		c.send(n, stopOrder(c.stop.Code, false, c.stop.Reason))
	}
}

// replaced notes that a member of the view is dead, since another process has its
// name.
func (c *Core) replaced(hello *pb.Hello) {
	for _, n := range c.ranks {
		if n.absent && !n.gone && n.name() == hello.NodeId {
			n.gone = true
			if c.phase != returning {
				c.died(n, "it was started anew")
				return
			}
			c.noteLost(n, "it was started anew")
		}
	}
	c.settleReturn()
}

// noteLost says which member will not come back.
func (c *Core) noteLost(n *node, why string) {
	c.notice(n, true, "%s of generation %d is lost: %s", n.name(), c.view.Generation, why)
}

// settleReturn goes on once it is known of every member what has become of it.
func (c *Core) settleReturn() {
	if c.phase != returning {
		return
	}
	var lost *node
	back := 0
	for _, n := range c.ranks {
		switch {
		case n.gone || n.broken:
			lost = n
		case n.absent:
			return
		default:
			back++
		}
	}
	switch {
	case back == 0:
		c.startOver()
	case lost != nil:
		c.halt(&cause{node: lost, what: "did not come back", code: ExitQuorumLost, evidence: []string{c.whyAway()}})
	default:
		c.allBack()
	}
}

// whyAway says why the members had to attach again.
func (c *Core) whyAway() string {
	if c.forsaken != "" {
		return "the streams of all nodes to the coordinator broke"
	}
	return "the coordinator was away"
}

// allBack goes on as if nothing had been.
func (c *Core) allBack() {
	c.phase, c.cause, c.forsaken = running, nil, ""
	c.notice(nil, false, "all %d nodes of generation %d are back, and have trained on", len(c.ranks), c.view.Generation)
	for _, n := range c.ranks {
		switch {
		case n.held && c.phase == running: // the ranks had been told to leave their ring
			c.leftTogether()
		case n.drains != nil && c.phase == running && c.stop == nil:
			c.letGo(n)
		}
	}
}

// returnEnds takes the members for lost that have not come back in time.
func (c *Core) returnEnds() {
	for _, n := range c.ranks {
		if n.absent && !n.gone {
			n.gone = true
			c.noteLost(n, fmt.Sprintf("it did not attach again within %s", c.config.returnTimeout()))
		}
	}
	c.settleReturn()
}

// startOver has the run begin anew from its newest checkpoint, since no node is
// left that holds its state; or it was complete already.
func (c *Core) startOver() {
	switch step := c.applied(); {
	case c.forsaken != "" && c.stop == nil:
		c.finish(ExitQuorumLost, c.forsaken+"; none of them attached again; "+c.lastCheckpoint())
		return
	case step >= int64(c.job.Spec.Train.Steps):
		c.finish(ExitDone, fmt.Sprintf("trained %d steps; the nodes had ended without the coordinator", step))
		return
	case c.stop != nil:
		c.finish(c.stop.Code, fmt.Sprintf("stopped at step %d: %s; the nodes had ended without the coordinator; %s", step, c.stop.Reason, c.lastCheckpoint()))
		return
	}
	c.flushTallies(c.applied())
	c.phase, c.reached, c.ranks, c.cause = waiting, c.applied(), nil, nil
	wait := max(c.config.JoinTimeout, c.config.absenceTimeout())
	c.setJoinDeadline(wait)
	c.notice(nil, true, "no node of generation %d came back; waiting %s for nodes to go on from the newest checkpoint", c.view.Generation, wait)
	c.startWhenReady()
}

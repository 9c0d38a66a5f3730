package coord

import (
	"fmt"

	pb "parallax/proto/parallax/v1"
)

// requestStop tells all to stop together after the step under way. Only the
// first such request counts; one to stop at once always does.
func (c *Core) requestStop(r StopRequested) {
	switch {
	case c.phase == over:
	case r.AtOnce && c.phase != waiting:
		c.finish(r.Code, "stopped at once: "+r.Reason+"; "+c.lastCheckpoint())
	case c.phase == waiting:
		c.finish(r.Code, "stopped before the run started: "+r.Reason)
	case c.phase == lacking:
		c.finish(r.Code, fmt.Sprintf("stopped at step %d: %s; %s", c.applied(), r.Reason, c.lastCheckpoint()))
	case c.stop == nil:
		c.stop = &r
		c.keep()
		c.notice(nil, false, "stopping after the step under way: %s", r.Reason)
		if c.phase == running || c.phase == returning {
			c.sendAll(stopOrder(r.Code, false, r.Reason))
		}
	}
}

// leaving takes a node's goodbye, or its wish to say goodbye.
func (c *Core) leaving(n *node, l *pb.Leaving) {
	if l.Drain {
		c.drain(n, l)
		return
	}
	if c.phase == waiting {
		delete(c.nodes, n.conn)
		c.notice(n, true, "%s left before the run started: %s", n.name(), l.Reason)
		return
	}
	n.left = l
	if !c.member(n) {
		c.notice(n, true, "%s left before it was taken in: %s", n.name(), l.Reason)
		return
	}
	n.applied = max(n.applied, l.AppliedStep)
	training := c.training()
	switch {
	case training && (l.Done || c.stop != nil):
		c.finishWhenAllLeft()
	case training:
		c.halt(&cause{node: n, what: "left", code: ExitQuorumLost, evidence: []string{l.Reason}})
	case c.completed(): // somebody was lost when all was done
		c.finishWell()
	case c.phase == halting:
		c.goOnWhenHeld()
	case c.phase == saving && n == c.saver:
		c.save()
	case c.phase == lacking:
		c.endIfHopeless()
	}
}

// completed reports whether a rank has said that all is done. Ranks say so once
// rank 0 has saved the state.
func (c *Core) completed() bool { return c.firstDone() != nil }

// firstDone is the goodbye of the lowest rank that has said that all is done.
func (c *Core) firstDone() *pb.Leaving {
	for _, n := range c.ranks {
		if n.left != nil && (n.left.Done || c.stop != nil) {
			return n.left
		}
	}
	return nil
}

// finishWhenAllLeft ends the run well when nobody is in it any more.
func (c *Core) finishWhenAllLeft() {
	for _, n := range c.ranks {
		if n.alive() {
			return
		}
	}
	c.finishWell()
}

// finishWell ends a run that is completed.
func (c *Core) finishWell() {
	first := c.firstDone()
	if first.Done {
		c.finish(ExitDone, fmt.Sprintf("trained %d steps", first.AppliedStep))
		return
	}
	c.finish(c.stop.Code, fmt.Sprintf("stopped at step %d: %s; %s", first.AppliedStep, c.stop.Reason, c.lastCheckpoint()))
}

// finish ends everything. Steps that some have applied and others have not reported
// are told first: they are made.
func (c *Core) finish(code int, reason string) {
	c.phase = over
	c.flushTallies(c.applied())
	done := &pb.Done{ExitCode: int32(code), Reason: reason, Step: c.applied()}
	if c.view != nil {
		done.Step = max(done.Step, c.view.ResumeStep)
		done.Seconds = c.wall.Sub(c.started).Seconds()
	}
	if c.checkpoint != nil {
		done.Checkpoint = c.checkpoint.Path
	}
	if c.last != nil {
		done.FinalLoss = &c.last.Loss
	}
	if c.evaluation != nil {
		done.ValidationLoss = &c.evaluation.Loss
	}
	c.publish(&pb.RunEvent{Kind: &pb.RunEvent_Done{Done: done}}) // on record before a node hears of it
	c.sendAll(stopOrder(code, true, reason))
	c.out = append(c.out, Finish{Code: code, Reason: reason})
}

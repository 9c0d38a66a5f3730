package coord

import (
	"errors"
	"time"

	"parallax/internal/gossip"
	pb "parallax/proto/parallax/v1"
)

// serve runs the core until it finishes, then takes everything down.
func (c *Coordinator) serve() {
	defer close(c.ended)
	c.loop()
	close(c.over)
	<-c.acknowledged
	c.history.end()
	if c.hasCrashed() {
		c.server.Stop()
		_ = c.gossip.Shutdown()
		return
	}
	c.takeLeave()
	c.closeArchive()
	_ = c.gossip.Leave(c.farewell()) // who is left to hear it?
	_ = c.gossip.Shutdown()
	c.lock.Close() // also where there is none
}

// closeArchive comes when nobody reads any more.
func (c *Coordinator) closeArchive() {
	if c.recorder.ledger == nil {
		return
	}
	if err := c.recorder.ledger.ClearHistory(c.o.RunDir); err != nil {
		c.log.Warn("the ledger keeps events that nobody needs any more", "cause", err)
	}
}

// farewell is how long we wait for others to take note of our end.
func (c *Coordinator) farewell() time.Duration { return min(c.o.FailureTimeout, 3*time.Second) }

// takeLeave waits for nodes to hang up and for followers to read the end.
func (c *Coordinator) takeLeave() {
	impatience := time.AfterFunc(c.farewell(), c.server.Stop)
	defer impatience.Stop()
	c.server.GracefulStop()
}

// loop feeds the core with events until it finishes. All use of the core is here.
func (c *Coordinator) loop() {
	ticker := time.NewTicker(c.listening())
	defer ticker.Stop()
	for finished := false; !finished; {
		select {
		case e := <-c.events:
			finished = c.step(e)
		case s := <-c.jobs:
			job, err := c.accept(s.Submission)
			s.reply <- accepted{job, err}
		case e := <-c.gossip.Events():
			finished = c.step(verdict(e))
		case <-ticker.C:
			finished = c.step(nil)
		case <-c.crashed:
			finished = true
		}
	}
}

// verdict is what gossip says about a node. One that left is no suspect either.
func verdict(e gossip.Event) Event {
	if e.Kind == gossip.Failed {
		return GossipFailed{e.Meta.ID, e.Meta.Incarnation}
	}
	return GossipJoined{e.Meta.ID, e.Meta.Incarnation}
}

// step tells the core the time and then the event, if any, and carries out what
// it decides.
func (c *Coordinator) step(e Event) (finished bool) {
	decisions := c.core.Step(c.clock.tick(time.Now()))
	if e != nil {
		decisions = append(decisions, c.core.Step(e)...)
	}
	for _, d := range decisions {
		if c.o.Observe != nil {
			c.o.Observe(d)
		}
		if c.hasCrashed() {
			return true
		}
		switch d := d.(type) {
		case Send:
			c.conns.send(d.Conn, d.Message)
		case Keep:
			c.keep(d.State)
		case Publish:
			c.publish(d.Event)
		case Finish:
			c.result = Result{d.Code, d.Reason}
			finished = true
		}
	}
	return finished
}

// publish records an event and then tells it, so that nobody hears of an end that is
// forgotten in a crash.
func (c *Coordinator) publish(e *pb.RunEvent) {
	e.UnixNanos = time.Now().UnixNano()
	c.history.stamp(e)
	if err := errors.Join(c.recorder.append(e), c.history.append(e)); err != nil {
		c.endRecord(err)
	}
	if e.GetStep() != nil {
		c.tellProgress()
	}
}

func (c *Coordinator) keep(s *State) {
	if err := c.recorder.keep(s); err != nil {
		c.endRecord(err)
	}
}

// endRecord has the run go on without a record; that is told once.
func (c *Coordinator) endRecord(err error) {
	c.recorder.ledger = nil
	c.log.Error("the run's record ends here", "cause", err)
	c.publish(noticeEvent(nil, true, "the run's record ends here, since it cannot be written: %s", err))
}

// post hands an event to the core, unless that has finished.
func (c *Coordinator) post(e Event) (taken bool) {
	select {
	case c.events <- e:
		return true
	case <-c.over:
		return false
	}
}

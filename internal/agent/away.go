package agent

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"parallax/internal/train"
	pb "parallax/proto/parallax/v1"
)

// The ring needs no coordinator, so a node whose stream to it has broken trains
// on, keeps its reports, and attaches again when it can. Only a node that cannot
// train waits, for the absence timeout.

// attachment is a new stream to the coordinator, or why there will be none.
type attachment struct {
	link    *link
	welcome *pb.Welcome
	err     error
}

func (c *captain) orders() <-chan *pb.CoordinatorMessage {
	if c.link == nil {
		return nil
	}
	return c.link.orders
}

// coordinatorLost begins to look for the coordinator.
func (c *captain) coordinatorLost() {
	c.orphaned = fmt.Errorf("the coordinator at %s is gone (%w)", c.o.Coordinator, c.link.lost())
	c.link.drop()
	c.link = nil
	doing := "looking for it"
	if c.training != nil {
		doing = "training goes on without it, and its reports are kept"
	}
	c.log.Warn("coordinator lost: "+doing, "cause", c.orphaned)
	c.partAlone()
	hello, found := c.hello(), make(chan attachment, 1)
	if c.generation > 0 {
		hello.Reattach = &pb.Reattach{RunId: c.welcome.RunId, Generation: c.generation, DroppedStep: c.outbox.lost(), Ready: c.readied}
	}
	c.returning = found
	c.tasks.Go(func() { found <- c.reattach(hello) })
}

// reattach tries until there is a coordinator that welcomes this node, or refuses
// it for good, or the node ends.
func (a *agent) reattach(hello *pb.Hello) attachment {
	for {
		at, again := a.tryToAttach(hello)
		if !again {
			return at
		}
		// A coordinator that answers and hangs up is asked less and less hastily.
		select {
		case <-time.After(pause + rand.N(pause)):
		case <-a.life.Done():
			return attachment{err: at.err}
		}
	}
}

// pause is how long a node waits at least before it asks a coordinator again that
// has hung up on it; where none answers, attempts says how often it tries.
const pause = 100 * time.Millisecond

func (a *agent) tryToAttach(hello *pb.Hello) (at attachment, again bool) {
	l, err := a.dial(a.life, 0, hello)
	if err != nil {
		var known *Error
		return attachment{err: err}, a.life.Err() == nil && errors.As(err, &known) && known.Code == CodeUnavailable
	}
	m, open := <-l.orders
	if !open {
		at.err, again = l.unwelcome(a.o.Coordinator), !refusedForGood(l.lost())
	} else if at.welcome, at.err = welcomed(m); at.err == nil {
		return attachment{link: l, welcome: at.welcome}, false
	}
	l.drop()
	return at, again
}

// coordinatorBack goes on where the coordinator was lost: in the view, of which it
// is told what it has missed, or as a node that joins with the state that it holds.
func (c *captain) coordinatorBack(at attachment) (over bool, err error) {
	c.returning = nil
	if at.err == nil {
		at.err = c.checkReturn(at)
	}
	if at.err != nil {
		c.haltTraining()
		return true, at.err
	}
	c.orphaned, c.link = nil, at.link
	c.log.Info("attached again", "run", at.welcome.RunId, "member", at.welcome.Member)
	c.tasks.Go(func() {
		if err := c.gossip.Join(at.welcome.GossipAddress); err != nil {
			c.log.Warn("gossip goes on without the coordinator", "cause", err)
		}
	})
	if at.welcome.Member {
		c.outbox.resend(at.welcome.ReceivedStep)
	} else if err := c.joinAnew(at.welcome.GetCluster().GetResume()); err != nil {
		return true, err
	}
	c.link.carry(c.failureTimeout())
	return false, nil
}

// checkReturn says why a coordinator is not the one that was lost.
func (c *captain) checkReturn(at attachment) error {
	if at.welcome.RunId == c.welcome.RunId && at.welcome.SpecHash == c.welcome.SpecHash {
		return nil
	}
	at.link.drop()
	return usage("the coordinator at %s has run %s now, and this node trains %s", c.o.Coordinator, at.welcome.RunId, c.welcome.RunId)
}

// joinAnew offers the state that is held, since the run has gone on without us, or has
// not begun. Where resume says so a checkpoint may have more steps.
func (c *captain) joinAnew(resume bool) error {
	c.haltTraining()
	c.haltJoining()
	c.outbox.clear()
	c.told = 0
	if err := c.makeWhole(); err != nil {
		return err
	}
	if resume {
		if err := c.restore(); err != nil {
			return err
		}
	}
	step, digest, err := c.holding()
	if err != nil {
		return err
	}
	c.readied.Step, c.readied.Digest = step, digest
	c.report(&pb.NodeMessage{Kind: &pb.NodeMessage_Ready{Ready: c.readied}})
	return nil
}

// makeWhole replaces a state that was half fetched by the one that all start from: who
// is to send the rest may be gone for good.
func (c *captain) makeWhole() error {
	if c.trainer.Whole() == nil {
		return nil
	}
	c.source.Break()
	c.trainer.Close()
	return c.build(c.saver.spec)
}

// limitTheWait lets the time run while nothing goes on without the coordinator.
func (c *captain) limitTheWait() {
	if c.training != nil || c.orphaned == nil && !c.ended {
		c.patience.stop()
		return
	}
	if c.patience.start(c.absenceTimeout()) && c.orphaned != nil {
		c.log.Warn(fmt.Sprintf("waiting up to %v for the coordinator to come back", c.absenceTimeout()), "step", c.trainer.Applied())
	}
}

// waitedEnough ends a node that the coordinator has left alone.
func (c *captain) waitedEnough() error {
	if c.ended {
		c.log.Warn("the run ended, and no coordinator took note of it: its last steps may lack in the record", "step", c.trainer.Applied())
		return c.exit(c.stop)
	}
	err := fmt.Errorf("%w, and did not come back within %v", c.orphaned, c.absenceTimeout())
	if c.generation == 0 || c.broken || !c.saves() {
		return unavailable("%w", err)
	}
	if failed := c.saveNow(); failed != nil {
		return unavailable("%w; %w", err, failed)
	}
	return unavailable("%w; the state after step %d is saved, go on from there with --resume", err, c.trainer.Applied())
}

// saveNow writes the state, unless another node does so at the same time, in a folder
// that they share.
func (c *captain) saveNow() error {
	c.saver.save(c.trainer)
	err := c.saver.wait()
	if err != nil && c.saver.has(c.trainer) {
		return nil
	}
	return err
}

// partAlone has the ranks leave their ring together after the step under way, if this
// one is to leave and no coordinator is there to say so. The others then wait for the
// coordinator, or are to leave too.
func (c *captain) partAlone() {
	if c.drained && c.orphaned != nil && c.training != nil {
		c.log.Info("leaving after the step under way, though no coordinator is there")
		c.trainer.Ask(train.Leave)
	}
}

// leavesAlone reports whether a node that is to leave, and whom no coordinator can let
// go, has come to where it can.
func (c *captain) leavesAlone() bool {
	return c.drained && c.orphaned != nil && c.training == nil && !c.ended
}

// leaveAlone ends the node: with what a scheduler takes for "start it again" if it has
// saved the state, and as a drained node does if another keeps that.
func (c *captain) leaveAlone() error {
	if c.generation == 0 || c.broken || !c.saves() {
		c.log.Info("left without the coordinator", "step", c.trainer.Applied())
		return c.exit(nil)
	}
	if err := c.saveNow(); err != nil {
		return unavailable("%w, the host asked this node to leave, and the state cannot be saved: %w", c.orphaned, err)
	}
	return &Error{CodeRequeue, fmt.Errorf("%w, and the host asked this node to leave: the state after step %d is saved, go on from there with --resume",
		c.orphaned, c.trainer.Applied())}
}

// saves says whether it falls to this node to save the state: among the members of
// the last view that gossip sees, the one of the lowest rank whose state is whole.
func (c *captain) saves() bool {
	if c.trainer.Whole() != nil {
		return false
	}
	alive := map[uint64]bool{c.incarnation: true}
	for _, m := range c.gossip.Members() {
		alive[m.Incarnation] = true
	}
	for _, m := range c.view.Members {
		if alive[m.Incarnation] {
			return m.Incarnation == c.incarnation
		}
	}
	return true
}

// patience is a wait that has an end. The zero value does not wait.
type patience struct{ timer *time.Timer }

// start begins to wait, and reports false where that has begun already.
func (p *patience) start(d time.Duration) bool {
	if p.timer != nil {
		return false
	}
	p.timer = time.NewTimer(d)
	return true
}

func (p *patience) stop() {
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
}

func (p *patience) over() <-chan time.Time {
	if p.timer == nil {
		return nil
	}
	return p.timer.C
}

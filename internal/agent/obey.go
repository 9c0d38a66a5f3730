package agent

import (
	"context"
	"errors"
	"fmt"

	"parallax/internal/train"
	pb "parallax/proto/parallax/v1"
)

// obey takes orders until the run is over for this node.
func (a *agent) obey(ctx context.Context) error {
	c := &captain{agent: a}
	defer c.haltTraining()
	defer c.haltJoining()
	defer c.patience.stop()
	drain := ctx.Done()
	for {
		c.limitTheWait()
		var over bool
		var err error
		select {
		case m, open := <-c.orders():
			if !open {
				c.coordinatorLost()
				continue
			}
			over, err = c.order(m)
		case at := <-c.returning:
			over, err = c.coordinatorBack(at)
		case <-c.patience.over():
			return c.waitedEnough()
		case out := <-c.outcome():
			c.trainingEnded(out)
		case err := <-c.joined():
			c.joining.failed(err)
			c.joining = nil
		case <-drain:
			if errors.Is(context.Cause(ctx), ErrKilled) {
				c.end()
				return ErrKilled
			}
			drain = nil
			c.drain()
		}
		if over {
			return err
		}
		if c.leavesAlone() {
			return c.leaveAlone()
		}
	}
}

// captain is what obey remembers between two messages.
type captain struct {
	*agent
	training   *training     // nil while no view is trained
	joining    *joining      // nil while no state is fetched
	generation uint64        // of the newest view
	view       *pb.View      // that is
	told       uint64        // the generation after which it was last told what state is held
	stop       *pb.StopOrder // the order that ends the run after a step, once it came
	ended      bool          // it has trained to the end, or stopped in good order
	broken     bool          // it cannot go on, nor save
	drained    bool          // its host has asked it to leave

	orphaned  error             // why there is no coordinator; nil: there is one
	returning <-chan attachment // when it is there again
	patience  patience          // with a coordinator without which nothing goes on
}

func (c *captain) outcome() <-chan outcome {
	if c.training == nil {
		return nil
	}
	return c.training.done
}

// joined tells why fetching a state has ended.
func (c *captain) joined() <-chan error {
	if c.joining == nil {
		return nil
	}
	return c.joining.done
}

// join fetches the state of a run whose members go on meanwhile.
func (c *captain) join(order *pb.FetchOrder) {
	if c.training != nil {
		return // and has a state already
	}
	c.haltJoining()
	c.log.Info("fetching the state", "from", order.NodeId)
	c.joining = startJoining(c.agent, order)
}

func (c *captain) haltJoining() {
	if c.joining != nil {
		c.joining.halt()
		c.joining = nil
	}
}

// order carries out one order; over says that the node is done.
func (c *captain) order(m *pb.CoordinatorMessage) (over bool, err error) {
	switch k := m.GetKind().(type) {
	case *pb.CoordinatorMessage_View:
		return c.enter(k.View)
	case *pb.CoordinatorMessage_Halt:
		c.halt(k.Halt)
	case *pb.CoordinatorMessage_Fetch:
		c.join(k.Fetch)
	case *pb.CoordinatorMessage_Serve:
		c.source.Permit(k.Serve.NodeIds)
	case *pb.CoordinatorMessage_Save:
		c.haltTraining()
		c.saver.save(c.trainer)
		c.saver.wait()
	case *pb.CoordinatorMessage_Stop:
		if k.Stop.AtOnce || c.generation == 0 {
			c.haltTraining()
			return true, c.exit(k.Stop)
		}
		c.stop = k.Stop
		c.trainer.Ask(train.Stop)
	case *pb.CoordinatorMessage_Refusal:
		c.haltTraining()
		return true, refusedBy(k.Refusal)
	}
	return false, nil
}

func (c *captain) enter(v *pb.View) (over bool, err error) {
	c.haltTraining()
	c.haltJoining()
	if err := checkView(v, c.saver.spec.Train.Slots, c.generation); err != nil {
		err = fmt.Errorf("the coordinator sent a view that cannot be trained in: %w", err)
		c.giveUp(err)
		return true, err
	}
	keeps := c.generation > 0 // else it holds what all start from, or what a checkpoint has
	c.generation, c.view = v.Generation, v
	c.trainer.ForgetLeave()
	rank := c.rankIn(v)
	if rank < 0 {
		return true, fmt.Errorf("generation %d has no place for node %s: %s", v.Generation, c.o.Name, v.Reason)
	}
	c.log.Info("view", "generation", v.Generation, "rank", rank, "world", len(v.Members))
	c.training = startTraining(c.agent, v, rank, keeps)
	return false, nil
}

func (c *captain) rankIn(v *pb.View) int {
	for rank, m := range v.Members {
		if m.NodeId == c.o.Name && m.Incarnation == c.incarnation {
			return rank
		}
	}
	return -1
}

// haltTraining leaves the ring, whatever the step is at, and waits until the
// device is ours again. It returns how training ended, nil if it had before.
func (c *captain) haltTraining() error {
	if c.training == nil {
		return nil
	}
	out := c.training.halt()
	c.training = nil
	return out.err
}

// trainingEnded handles the end of a view's training that nobody ordered from
// here. An order follows.
func (c *captain) trainingEnded(out outcome) {
	view := c.training.view
	c.training = nil
	switch {
	case out.err != nil:
		c.log.Error("training broke off", "cause", out.err)
		c.broken = fatal(out.err)
		c.tellFailure(view.Generation, out.err)
	case out.left:
		c.tellHeld(view.Generation)
	default:
		c.ended = true
		reason := "the run is complete"
		if !out.complete {
			reason = fmt.Sprintf("stopped after step %d", c.trainer.Applied())
		}
		c.log.Info(reason, "step", c.trainer.Applied())
		c.report(&pb.NodeMessage{Kind: &pb.NodeMessage_Leaving{Leaving: &pb.Leaving{
			AppliedStep: c.trainer.Applied(), Reason: reason, Done: out.complete}}})
	}
}

// exit is the process's end as a stop order has it, or a drained node's that is to be
// started again.
func (c *captain) exit(stop *pb.StopOrder) error {
	if c.drained && c.o.Requeue && !c.complete() {
		return &Error{CodeRequeue, errors.New("this node has left the run, and is to be started again")}
	}
	if stop == nil || stop.ExitCode == 0 {
		return nil
	}
	return &Error{int(stop.ExitCode), errors.New(stop.Reason)}
}

// complete says that no step of the run is left.
func (c *captain) complete() bool {
	return c.trainer != nil && c.trainer.Applied() >= int64(c.saver.spec.Train.Steps)
}

// drain asks to leave in good order.
func (c *captain) drain() {
	c.drained = true
	c.log.Info("draining")
	c.report(&pb.NodeMessage{Kind: &pb.NodeMessage_Leaving{Leaving: &pb.Leaving{
		Reason: "the host asked for it", Drain: true}}})
	c.partAlone()
}

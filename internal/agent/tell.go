package agent

import (
	"context"
	"errors"
	"fmt"

	"parallax/collective"
	"parallax/internal/train"
	pb "parallax/proto/parallax/v1"
)

// errHalted is the cause of a report that only answers a halt order.
var errHalted = errors.New("halted by the coordinator")

// halt ends the ring of a generation, at once or together with the other ranks
// after the step under way. What state is then held is told once.
func (c *captain) halt(h *pb.HaltOrder) {
	if h.AtBoundary {
		if c.training != nil && c.training.view.Generation == h.Generation {
			c.trainer.Ask(train.Leave)
		}
		return
	}
	err := c.haltTraining()
	if c.told == h.Generation {
		return
	}
	if !fatal(err) {
		err = errHalted
	}
	c.tellFailure(h.Generation, err)
}

// fatal reports whether training ended by this node's own fault. What the ring
// reports leaves the node whole, and so does a halt.
func fatal(err error) bool {
	var ring *collective.Error
	return err != nil && !errors.As(err, &ring) && !errors.Is(err, context.Canceled) && !errors.Is(err, errHalted)
}

// tellFailure says why training broke off, and what state is held.
func (c *captain) tellFailure(generation uint64, cause error) {
	f := &pb.Failure{Generation: generation, Error: inWords(cause, c.o.Coordinator), Fatal: fatal(cause)}
	var ring *collective.Error
	if errors.As(cause, &ring) {
		f.Suspect = ring.PeerName
	}
	var err error
	if f.AppliedStep, f.Digest, err = c.holding(); err != nil {
		f.Error, f.Fatal = errors.Join(cause, err).Error(), true
	}
	if f.Fatal {
		f.ExitCode = exitCode(cause)
	}
	c.told = generation
	c.report(&pb.NodeMessage{Kind: &pb.NodeMessage_Failure{Failure: f}})
}

// inWords is what is told of a failure: if a neighbour was lost, with the command that looks
// at every link of the run.
func inWords(cause error, coordinator string) string {
	var ring *collective.Error
	if errors.As(cause, &ring) && ring.Peer >= 0 {
		return fmt.Sprintf("%v; try: parallax doctor --coordinator %s", cause, coordinator)
	}
	return cause.Error()
}

// tellHeld says what state is held after the ranks have left their ring together.
func (c *captain) tellHeld(generation uint64) {
	step, digest, err := c.holding()
	if err != nil {
		c.tellFailure(generation, err)
		return
	}
	c.told = generation
	c.report(&pb.NodeMessage{Kind: &pb.NodeMessage_Held{Held: &pb.Held{
		Generation: generation, AppliedStep: step, Digest: digest}}})
}

// holding is the state that this node can offer. Half fetched, it is none.
func (a *agent) holding() (step int64, digest []byte, err error) {
	if a.trainer.Whole() != nil {
		return 0, nil, nil
	}
	digest, err = a.trainer.Digest()
	return a.trainer.Applied(), digest, err
}
